"""Takes all the memory there is."""

from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    hoard = []
    while True:
        hoard.append(bytes(64 * 1024 * 1024))
