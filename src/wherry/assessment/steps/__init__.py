"""The steps of an assessment: one file each, with one function `measure`.

Rule 1: `measure(file, folder)` returns what it found as plain JSON values, with
times in seconds from the beginning of the file, rounded to milliseconds. It
judges nothing: that is the policy's.

Rule 2: a step may be run again after a crash at any line of it. Pictures go
into `folder` and are named in its `artefacts`.

A new step is a new file here and its name in `PLAN`; a name with a dot is a
module of somebody else's.
"""

from __future__ import annotations

#: What is done to every upload, in this order. Recorded when an assessment begins.
PLAN = ("probe", "integrity", "black", "freeze", "silence", "poster")


def module_of(step: str) -> str:
    """The module that has the step's `measure`."""
    return step if "." in step else f"{__name__}.{step}"
