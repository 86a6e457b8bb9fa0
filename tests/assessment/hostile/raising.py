"""Fails as Python code fails."""

from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    raise RuntimeError("no good")
