"""Says more than anybody wants to hear."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    return {"text": "a" * 50_000_000}
