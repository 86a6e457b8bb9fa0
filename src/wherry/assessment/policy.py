"""What makes a video pass, warn or fail.

Rule 1: a policy is a flat table of numbers with a name, so that it can be read
from a file. Measuring knows nothing of it; judging knows nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Policy:
    """Lengths in seconds, shares of the whole from 0 to 1.

    Stretches are told from their threshold on, everything else above it.
    """

    name: str
    #: Whether a file without pictures, or without sound, is acceptable.
    no_video: Severity = Severity.FAIL
    no_audio: Severity = Severity.WARN
    #: Errors and damaged frames, together.
    errors_fail: int = 0
    #: Frames that should be there and are not: a few are lost at an edit without harm.
    missing_frames_warn: int = 2
    missing_frames_fail: float = 0.05
    #: How much earlier than declared the file may end.
    missing_end_fail: float = 0.5
    #: Pauses in one stream; in all streams at once, any pause is a failure.
    gap_warn: float = 1.0
    #: By how much picture and sound may differ in length.
    uneven_warn: float = 1.0
    #: Stretches.
    black_warn: float = 1.0
    freeze_warn: float = 2.0
    silence_warn: float = 2.0
    #: A video that is nearly all black or frozen is none.
    black_share_fail: float = 0.95
    freeze_share_fail: float = 0.95


POLICIES: Mapping[str, Policy] = {"web": Policy("web")}
