"""Leaves a process behind, which holds on to its output."""

import os
import time
from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    if os.fork() == 0:
        time.sleep(600)
    return {"done": True}
