"""Prints beside its answer, as libraries do."""

import os
from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    os.write(1, b"hello\n")
    os.write(2, b"hello\n")
    return {"done": True}
