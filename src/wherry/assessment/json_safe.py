"""The values that may leave the sandbox: those that JSON, a database and a browser all accept.

Rule 1: a step may return anything. The child makes text of what is none (`make_json_safe`), so
that odd tags in a file do not prevent a report. The parent believes no child and refuses
what is not plain (`check_json_safe`).
"""

from __future__ import annotations

import math
import re
from typing import Any

#: How deep the values of a step may be nested.
DEPTH = 12

_NO_TEXT = re.compile("[\ud800-\udfff\0]")


def make_text_safe(value: str) -> str:
    """`value`, with U+FFFD for each byte that was not UTF-8 and for each zero character."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)


def make_json_safe(value: Any) -> Any:
    """The same value with every text in it made safe."""
    if isinstance(value, str):
        return make_text_safe(value)
    if isinstance(value, dict):
        return {make_json_safe(name): make_json_safe(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_json_safe(item) for item in value]
    return value


def check_json_safe(value: Any, depth: int = DEPTH) -> None:
    """Raises `ValueError` for a value that a database or a browser would refuse."""
    if depth == 0:
        raise ValueError("too deep")
    if isinstance(value, str):
        if _NO_TEXT.search(value):
            raise ValueError("no text")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    elif isinstance(value, int) and abs(value) > 2**63:
        raise ValueError("a number too large")
    elif isinstance(value, dict):
        for name, item in value.items():
            check_json_safe(name, depth - 1)
            check_json_safe(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            check_json_safe(item, depth - 1)
