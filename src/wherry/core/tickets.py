"""Tickets: the right of a guest, who has no login, to bring files into an owner's space.

Rule 1: a ticket is a secret that is shown once. What is recorded is the SHA-256 of its secret part,
which has 128 random bits, so a slow hash would add nothing. Its id is no secret: records and the
log may name it.

Rule 2: each upload that begins uses the ticket once. An upload that ends without a file gives its
use back: so `uploads` limits how many files come, and not how often a guest may try.

Rule 3: a ticket that has expired or is used up begins no upload any more; what was begun with it
may be finished. One that is revoked is of no use at all.

Rule 4: a ticket that shows a report begins no upload, and is of no use once it has expired.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from enum import Enum

from wherry.core.errors import (
    NotForGuests,
    TicketExpired,
    TicketRevoked,
    TicketUsedUp,
    TooLarge,
    Unauthorized,
)

#: How long a ticket is valid by default, and at most, in seconds.
LIFETIME, LONGEST_LIFETIME = 7 * 24 * 3600.0, 366 * 24 * 3600.0
#: The most uploads that one ticket allows.
MOST_UPLOADS = 100_000

#: What the text of every ticket begins with, so that people and scanners recognise one.
PREFIX = "wherry_guest_"
_TEXT = re.compile(rf"{PREFIX}([0-9a-f]{{32}})_([0-9a-f]{{32}})")


class TicketState(Enum):
    VALID = "valid"
    USED_UP = "used-up"  #: No upload may begin, unless one of them ends without a file.
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Presented:
    """A ticket as a guest presents it."""

    id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """The text that the guest has. It is shown once, and never logged."""
        return f"{PREFIX}{self.id}_{self.secret}"

    @classmethod
    def parse(cls, text: str) -> Presented | None:
        """The inverse of `str`; None for a text that is no ticket."""
        found = _TEXT.fullmatch(text)
        return None if found is None else cls(found[1], found[2])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is recorded of a ticket. Sizes in bytes, times in seconds of the deadline clock.

    `sha256`: of its secret, in hexadecimal digits. `uploads`: how many it allows. `max_size`: the
    largest file; None: the server's own limit. `note`: what its owner calls it. `used`: how many
    uploads were begun with it and have not ended without a file. `shows`: the upload whose report
    it shows; None: it is for uploads. `with_file`: whether it shows the file of that one, too.
    """

    id: str
    owner: str
    sha256: str
    created_at: float
    expires_at: float
    uploads: int = 1
    max_size: int | None = None
    note: str = ""
    used: int = 0
    revoked_at: float | None = None
    shows: str | None = None
    with_file: bool = False

    def state(self, now: float) -> TicketState:
        if self.revoked_at is not None:
            return TicketState.REVOKED
        if now >= self.expires_at:
            return TicketState.EXPIRED
        if self.shows is not None:
            return TicketState.VALID
        return TicketState.USED_UP if self.used >= self.uploads else TicketState.VALID

    def check(self, presented: Presented, now: float) -> None:
        """Raises `Unauthorized` for another secret, `TicketRevoked`, `TicketExpired` (rule 4)."""
        if not hmac.compare_digest(self.sha256, presented.sha256):
            raise Unauthorized
        if self.revoked_at is not None:
            raise TicketRevoked
        if self.shows is not None and now >= self.expires_at:
            raise TicketExpired

    def check_size(self, length: int) -> None:
        """Raises `TooLarge` for a file that the ticket does not allow."""
        if self.max_size is not None and length > self.max_size:
            raise TooLarge(self.max_size, length)

    def use(self, now: float) -> Ticket:
        """An upload begins.

        Raises `TicketRevoked`, `TicketExpired`, `TicketUsedUp`, and `NotForGuests` by rule 4.
        """
        if self.shows is not None:
            raise NotForGuests
        match self.state(now):
            case TicketState.REVOKED:
                raise TicketRevoked
            case TicketState.EXPIRED:
                raise TicketExpired
            case TicketState.USED_UP:
                raise TicketUsedUp(self.uploads)
        return replace(self, used=self.used + 1)

    def give_back(self) -> Ticket:
        """An upload has ended without a file."""
        return replace(self, used=max(self.used - 1, 0))

    def revoke(self, now: float) -> Ticket:
        """Unchanged if it is revoked already."""
        return self if self.revoked_at is not None else replace(self, revoked_at=now)
