"""Is killed, as the kernel does when memory runs out."""

import os
import signal
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}
