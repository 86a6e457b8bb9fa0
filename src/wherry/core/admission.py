"""Who may start now.

Rule 1: room is counted and taken in one transaction, so two requests can never
take the same last place.

Rule 2: what can never fit is told so at once; what may fit later is told when
to ask again.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.core.errors import NeverFits, NoRoom
from wherry.core.limits import Limits

#: Seconds after which a client that found no room should ask again.
RETRY_AFTER = 5


@dataclass(frozen=True, slots=True)
class Usage:
    """What is taken: uploads that hold a slot, and bytes reserved by unfinished ones."""

    open: int = 0
    reserved: int = 0
    open_of_owner: int = 0
    reserved_of_owner: int = 0


@dataclass(frozen=True, slots=True)
class Space:
    """The volume that holds the bytes, in bytes. `free` already excludes what is reserved."""

    total: int
    free: int


def check_fits_ever(length: int, limits: Limits, space: Space) -> None:
    """Raises `TooLarge` or `NeverFits` for a length that waiting cannot help."""
    limits.check_length(length)
    bounds = (limits.max_reserved, limits.max_reserved_per_owner, space.total - limits.min_free)
    bound = min(b for b in bounds if b is not None)
    if length > bound:
        raise NeverFits(limit=max(bound, 0), provided=length)


def check_fits_now(length: int, limits: Limits, space: Space) -> None:
    """Raises `NoRoom` where the disk would be left with less than `min_free`."""
    if length > space.free - limits.min_free:
        raise NoRoom("free disk space", RETRY_AFTER)


def check_slot(usage: Usage, limits: Limits) -> None:
    """Raises `NoRoom` where one more open upload would be too many."""
    if limits.max_open is not None and usage.open >= limits.max_open:
        raise NoRoom("as many uploads as may be are open", RETRY_AFTER)
    per_owner = limits.max_open_per_owner
    if per_owner is not None and usage.open_of_owner >= per_owner:
        raise NoRoom("you have as many open uploads as one may", RETRY_AFTER)


def check_admission(length: int, usage: Usage, limits: Limits) -> None:
    """Raises `NoRoom` where a new upload of `length` bytes has to wait."""
    check_slot(usage, limits)
    if limits.max_reserved is not None and usage.reserved + length > limits.max_reserved:
        raise NoRoom("space for uploads in all", RETRY_AFTER)
    per_owner = limits.max_reserved_per_owner
    if per_owner is not None and usage.reserved_of_owner + length > per_owner:
        raise NoRoom("space for one owner's uploads", RETRY_AFTER)
