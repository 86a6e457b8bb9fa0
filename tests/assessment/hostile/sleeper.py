"""Never ends."""

import time
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    while True:
        time.sleep(60)
