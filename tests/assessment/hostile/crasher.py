"""Reads from address 0."""

import ctypes
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    return {"text": ctypes.string_at(0)}
