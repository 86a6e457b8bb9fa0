"""Where the picture stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wherry.assessment.detect import Filter, find_in_video

#: Pictures that differ by less than -60 dB, for half a second at least.
FREEZE = Filter(
    "freezedetect",
    "n=0.001:d=0.5",
    "lavfi.freezedetect.freeze_start",
    "lavfi.freezedetect.freeze_end",
)


def measure(file: str, folder: Path) -> dict[str, Any]:
    """Frozen stretches in seconds; what is black is frozen too. Raises `Unreadable`."""
    return find_in_video(file, FREEZE)
