"""Refusals that only HTTP knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from wherry.core.errors import UploadError


@dataclass
class WrongMethod(UploadError):
    """The address exists, but not for this method."""

    code: ClassVar[str] = "method-not-allowed"
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"This address takes {', '.join(self.allowed)}."
