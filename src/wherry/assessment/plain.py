"""The values that may leave the sandbox: what JSON, a database and a browser take alike.

Rule 1: a step may say anything. The child makes text of what is none (`plain`), so
that a file's odd tags cost nobody a report. The parent believes no child and refuses
what is not plain (`check_plain`).
"""

from __future__ import annotations

import math
import re
from typing import Any

#: How many folders deep a step's answer may be.
DEPTH = 12

_NO_TEXT = re.compile("[\ud800-\udfff\0]")


def plain_text(value: str) -> str:
    """`value`, with U+FFFD for each byte that was not UTF-8 and for each zero character."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)


def plain(value: Any) -> Any:
    """The same value with every text in it made plain."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def check_plain(value: Any, depth: int = DEPTH) -> None:
    """Raises `ValueError` for what a database or a browser would choke on."""
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
            check_plain(name, depth - 1)
            check_plain(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            check_plain(item, depth - 1)
