"""Where the picture is black."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wherry.assessment.detect import Filter, find_in_video

#: Dark below a tenth of the range of brightness, for a tenth of a second at least.
BLACK = Filter(
    "blackdetect",
    "d=0.1:pic_th=0.98:pix_th=0.10",
    "lavfi.black_start",
    "lavfi.black_end",
)


def measure(file: str, folder: Path) -> dict[str, Any]:
    """Black stretches in seconds. Raises `Unreadable`."""
    return find_in_video(file, BLACK)
