"""Says which priority it has."""

import os
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    return {"niceness": os.getpriority(os.PRIO_PROCESS, 0)}
