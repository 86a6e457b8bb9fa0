"""What the bytes received so far already show of a file, before it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wherry.core.ranges import Range


@dataclass(frozen=True, slots=True)
class EarlyVerdict:
    """What the rest of the file cannot change; or the bytes that must come first; or neither.

    `policy` and `verdict`: None while nothing is known. `findings`: as in a report, by their
    fields. `needs`: the bytes without which nothing is known. `problem`: why nothing will be known
    before the file is complete, as a sentence.
    """

    policy: str | None = None
    verdict: str | None = None
    findings: tuple[Mapping[str, Any], ...] = ()
    needs: Range | None = None
    problem: str | None = None
