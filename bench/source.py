"""The file that all uploads are taken from: random bytes, so that no place equals another."""

from __future__ import annotations

import os
from pathlib import Path

BLOCK = 4 << 20


def make_source(path: Path, size: int) -> None:
    """Write `size` random bytes."""
    with path.open("wb", buffering=0) as file:
        for begin in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - begin)))
