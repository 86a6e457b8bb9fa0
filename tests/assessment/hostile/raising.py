"""Fails as Python code fails."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    raise RuntimeError("no good")
