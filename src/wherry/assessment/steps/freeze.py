"""Where the picture stands still: a step of plans recorded before there was `visual`."""

from __future__ import annotations

from typing import Any

from wherry.assessment.context import Context
from wherry.assessment.steps.visual import find


def measure(context: Context) -> dict[str, Any]:
    """Frozen stretches in seconds; what is black is frozen too. Raises `Unreadable`."""
    freeze: dict[str, Any] = find(context.file).facts["freeze"]
    return freeze
