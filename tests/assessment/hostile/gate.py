"""Waits until the file says `go`."""

import os
import time
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    descriptor = int(context.file.removeprefix("fd:"))
    while os.pread(descriptor, 2, 0) != b"go":
        time.sleep(0.01)
    return {"opened": True}
