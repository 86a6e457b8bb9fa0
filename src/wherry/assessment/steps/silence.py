"""Where nothing can be heard: a step of plans recorded before there was `audio`."""

from __future__ import annotations

from typing import Any

from wherry.assessment.context import Context
from wherry.assessment.steps.audio import find


def measure(context: Context) -> dict[str, Any]:
    """Silent stretches in seconds. Raises `Unreadable`."""
    silence: dict[str, Any] = find(context.file).facts["silence"]
    return silence
