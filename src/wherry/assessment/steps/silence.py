"""Where nothing can be heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wherry.assessment.detect import Filter, find_in_audio

#: Every channel below -60 dBFS, for a third of a second at least.
SILENCE = Filter(
    "silencedetect",
    "n=-60dB:d=0.33",
    "lavfi.silence_start",
    "lavfi.silence_end",
)


def measure(file: str, folder: Path) -> dict[str, Any]:
    """Silent stretches in seconds. Raises `Unreadable`."""
    return find_in_audio(file, SILENCE)
