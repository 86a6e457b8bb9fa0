"""Takes no time."""

from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    return {"done": True}
