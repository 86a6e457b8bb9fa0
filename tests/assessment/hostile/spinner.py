"""Never ends, and uses the processor."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    while True:
        pass
