"""The values that the worker and its workflows exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.assessment.confine import Bounds
from wherry.assessment.partial_copy import PartialCopy
from wherry.core.assessment import Step

#: What a step may use, by the file's length in bytes and the duration it claims in seconds.
Allowance = Callable[[int, float], Bounds]

#: The longest a step may ever take, in seconds.
LONGEST = 6 * 3600


#: Below this many bytes a second a video's duration is not believed.
SLOWEST = 2_000


def allow(length: int, duration: float) -> Bounds:
    """Ten times the time of slow decoding. The declared duration may be wrong, so it is capped."""
    duration = min(duration, length / SLOWEST)
    seconds = min(60 + length / 2_000_000 + 4 * duration, LONGEST)
    return Bounds(seconds, processor_seconds=int(4 * seconds))


@dataclass(frozen=True, slots=True)
class Work:
    """What a step needs: the file, its `length` in bytes, a folder to draw in, and `keep`,
    which takes a picture's name and its bytes. `deaths`: how many workers in a row have died
    during the step that is next.
    """

    file: Path | PartialCopy
    length: int
    scratch: Path
    keep: Callable[[str, bytes], None]
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of one step: `done`, `failed` or `skipped`. DBOS records this value."""

    name: str
    state: str
    seconds: float
    facts: Mapping[str, Any] | None = None
    problem: Mapping[str, str] | None = None
    confined: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a workflow: the steps of its plan; at its end, the results or the failure."""

    steps: tuple[Step, ...]
    results: tuple[StepResult, ...] | None = None
    failure: str | None = None
