"""Says bytes that were never UTF-8, as Python hands them on, and a zero character."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    return {"n\udce9m": ["caf\udce9", {"z": "a\0b"}]}
