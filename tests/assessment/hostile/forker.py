"""Leaves a process behind, which holds on to its output."""

import os
import time
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    if os.fork() == 0:
        time.sleep(600)
    return {"done": True}
