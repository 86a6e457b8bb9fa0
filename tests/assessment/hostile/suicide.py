"""Is killed, as the kernel does when memory runs out."""

import os
import signal
from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}
