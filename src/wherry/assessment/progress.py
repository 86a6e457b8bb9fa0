"""What the worker and its workflows tell each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.assessment.confine import Bounds
from wherry.core.assessment import Step

#: What a step may use, by the file's length in bytes and the duration it claims in seconds.
Allowance = Callable[[int, float], Bounds]

#: The longest a step may ever take, in seconds.
LONGEST = 6 * 3600


#: Below this many bytes a second a video's duration is not believed.
SLOWEST = 2_000


def allow(length: int, duration: float) -> Bounds:
    """Ten times what slow decoding takes; a file may lie about its duration."""
    duration = min(duration, length / SLOWEST)
    seconds = min(60 + length / 2_000_000 + 4 * duration, LONGEST)
    return Bounds(seconds, processor_seconds=int(4 * seconds))


@dataclass(frozen=True, slots=True)
class Work:
    """What a step needs: the file, its `length` in bytes, a folder to draw in, and `keep`,
    which takes a picture's name and its bytes.
    """

    path: Path
    length: int
    scratch: Path
    keep: Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of one step: `done`, `failed` or `skipped`. This is what DBOS keeps of it."""

    name: str
    state: str
    seconds: float
    facts: Mapping[str, Any] | None = None
    problem: Mapping[str, str] | None = None
    confined: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a workflow is: each step of its plan, and in the end its results or why it failed."""

    steps: tuple[Step, ...]
    results: tuple[StepResult, ...] | None = None
    failure: str | None = None
