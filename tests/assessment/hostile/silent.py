"""Ends without an answer."""

import os
from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    os._exit(3)
