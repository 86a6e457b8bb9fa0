"""Takes all the memory there is."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    hoard = []
    while True:
        hoard.append(bytes(64 * 1024 * 1024))
