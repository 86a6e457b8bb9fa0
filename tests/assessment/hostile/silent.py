"""Ends without an answer."""

import os
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    os._exit(3)
