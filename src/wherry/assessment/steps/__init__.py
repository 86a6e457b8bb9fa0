"""The steps of an assessment: one module each, with one function `measure`.

Rule 1: a step is a callable that takes a `Context` and returns its facts as plain JSON values,
with times in seconds from the beginning of the file, rounded to milliseconds. It judges
nothing; the policy does.

Rule 2: a step may be run again after a crash at any line of it.

Rule 3: a plan is recorded when an assessment begins, and each name is looked up when its step
runs. A name that was ever in `PLAN` stays known, so that a new version of Wherry can finish
what an old one began.

A custom step is an entry point in an installed distribution, of the group
`wherry.assessment.steps`, or of `wherry.assessment.range_steps` if it can do with parts of a file.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points

from wherry.events import Event, log_event

#: Wherry's own steps, in their order.
PLAN = ("probe", "integrity", "visual", "audio", "poster")
#: Those that need only some bytes of most files.
BY_RANGES = frozenset(("probe",))
#: Where other distributions announce theirs: those that need the whole file, and the others.
GROUP, RANGE_GROUP = "wherry.assessment.steps", "wherry.assessment.range_steps"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def current_plan() -> tuple[str, ...]:
    """What is done to an upload from now on: Wherry's own steps, then those installed, by name."""
    return (*PLAN, *sorted(_installed()))


def is_own(step: str) -> bool:
    """Whether this step, by its name, is one of Wherry's."""
    return step in PLAN


def place_of(step: str) -> str:
    """Where the callable is, as `module:name`. Raises `LookupError` if it is not installed."""
    return f"{__name__}.{step}:measure" if is_own(step) else _installed()[step].value


def reads_ranges(step: str) -> bool:
    """Whether it asks for the bytes that it needs, so that the rest need not be there.

    Raises `LookupError` if it is not installed.
    """
    return step in BY_RANGES if is_own(step) else _installed()[step].group == RANGE_GROUP


def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in (*entry_points(group=GROUP), *entry_points(group=RANGE_GROUP)):
        if is_own(point.name) or point.name in found or not _NAME.fullmatch(point.name):
            log_event(Event.STEP_IGNORED, step=point.name, place=point.value)
        else:
            found[point.name] = point
    return found
