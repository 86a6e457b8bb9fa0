"""Where the picture is black: a step of plans recorded before there was `visual`."""

from __future__ import annotations

from typing import Any

from wherry.assessment.context import Context
from wherry.assessment.steps.visual import find


def measure(context: Context) -> dict[str, Any]:
    """Black stretches in seconds. Raises `Unreadable`."""
    black: dict[str, Any] = find(context.file).facts["black"]
    return black
