"""Never ends."""

import time
from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    while True:
        time.sleep(60)
