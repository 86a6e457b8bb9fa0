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


@dataclass
class WrongMediaType(UploadError):
    """The body of the request has not the media type that the protocol wants."""

    code: ClassVar[str] = "wrong-media-type"
    expected: str

    def __str__(self) -> str:
        return f"The body must be {self.expected}."


@dataclass
class WrongVersion(UploadError):
    """The request is of another version of its protocol, or does not name one."""

    code: ClassVar[str] = "wrong-version"
    field: str
    expected: str

    def __str__(self) -> str:
        return f"{self.field} does not name a version that is spoken here."
