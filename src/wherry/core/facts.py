"""The fields of an upload, the values that follow from them, and the checks.

Rule 1: nothing here changes an upload. Every change is a method in `upload.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from wherry.core.digests import Digest
from wherry.core.errors import (
    BadRequest,
    DigestDiffers,
    MadeOfPieces,
    OffsetDiffers,
    Queued,
    RangeOutside,
    TooFragmented,
    TooLarge,
    UploadClosed,
    UploadGone,
    UploadNotFound,
)
from wherry.core.joining import Joining, Piece
from wherry.core.limits import Limits
from wherry.core.ranges import PartSet, Range
from wherry.core.requests import Caller
from wherry.core.rights import Calls, Completion, Lease
from wherry.core.states import GONE, HOLDS_SPACE, State

#: How many gaps an answer lists at most.
MAX_GAPS_LISTED = 100
#: How many parts, with gaps between them, an upload may have. Every part is a row in the catalog.
MAX_PARTS = 10_000
#: How long a request may write without a lease, at most, in seconds. It asks for one much sooner;
#: the rest is for a machine that is busy.
UNLEASED = 10.0


@dataclass(frozen=True, slots=True)
class UploadFacts:
    """One file on its way in. Sizes in bytes, times in seconds of the deadline clock.

    `limit`: the most bytes that are accepted, and how many are reserved.
    `length`: the declared size of the file; None until it is known.
    `digest`: of the whole file, as the client announced it.
    `received`: the bytes that are safe. `leases`: the open requests that may add to them.
    `completion`: the right to complete the upload. `calls`: of hooks, see `rights.py`.
    `is_named`: the file has its final name and `on_complete` may have run, so the application may
    have moved the file since.
    `began_at`: when the upload was created, or was last admitted.
    `queued_at`: since when it has been in the queue; None: it is not.
    `slot_until`: until when it counts as open.
    `failure`: why it expired or failed.
    `discarded_at`: when its finished file was deleted or moved away.
    `ticket_id`: of the guest's ticket that it was made with; None: its owner has made it.
    `completed_at`: when it became complete, in Unix seconds; None: before Wherry recorded that.
    `ended_at`: when it was cancelled, expired or failed; None: it did not, or before Wherry
    recorded that.
    `sha256`: of the complete file, in hexadecimal digits, once somebody has asked for it.
    `joining`: of a piece, or of an upload that is joined from pieces; None: it is neither.
    """

    id: str
    owner: str
    filename: str
    limit: int
    length: int | None = None
    chunk_size: int = 1
    created_at: float = 0.0
    content_type: str | None = None
    fingerprint: str | None = None
    digest: Digest | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    state: State = State.RECEIVING
    received: PartSet = PartSet()
    leases: tuple[Lease, ...] = ()
    completion: Completion | None = None
    calls: Calls = Calls()
    is_named: bool = False
    began_at: float = 0.0
    queued_at: float | None = None
    slot_until: float = 0.0
    assessment_id: str | None = None
    failure: str | None = None
    discarded_at: float | None = None
    ticket_id: str | None = None
    completed_at: float | None = None
    sha256: str | None = None
    ended_at: float | None = None
    joining: Joining | None = None

    # Values that follow from the fields.

    @property
    def offset(self) -> int:
        """How many bytes are safe from byte 0 on, up to the first gap."""
        return self.received.offset

    @property
    def received_digest(self) -> Digest:
        """The CRC-64/NVME of bytes 0 to `offset`."""
        return Digest.of_crc(self.received.crc)

    @property
    def suffix(self) -> str:
        """The ending of the file name in lower case, like `.mp4`. Empty if there is none, or if it
        is not made of ASCII letters and digits, 10 at most.
        """
        _, dot, ending = self.filename.rpartition(".")
        plain = ending.isascii() and ending.isalnum() and len(ending) <= 10
        return f".{ending.lower()}" if dot and plain else ""

    @property
    def missing(self) -> tuple[Range, ...]:
        """The first gaps, in order; at most as many as an answer lists."""
        end = self.limit if self.length is None else self.length
        return self.received.missing(Range(0, end), MAX_GAPS_LISTED) if end else ()

    @property
    def is_whole(self) -> bool:
        """Whether all of its bytes have come. Only where all of its parts were read."""
        return self.length is not None and self.received.size == self.length

    @property
    def is_piece(self) -> bool:
        """Whether it is no file of its own, but a piece of one."""
        return self.joining is not None and not self.joining.pieces

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Those that it is joined from; none: its bytes come by requests."""
        return () if self.joining is None else self.joining.pieces

    @property
    def joined_into(self) -> str | None:
        """Of a piece: the upload that is to get its bytes, or has got them."""
        return None if self.joining is None else self.joining.into

    @property
    def active_at(self) -> float:
        """When a byte last came or a request began. Before the first byte: when its slot ends."""
        times = [self.began_at, *(lease.at for lease in self.leases)]
        return max([*times, self.received.last_at or self.slot_until])

    def expires_at(self, expires_after: float) -> float:
        """When it expires if nothing comes any more. `expires_after`: the setting, in seconds."""
        return self.active_at + expires_after

    def is_open(self, now: float, latest: float = inf) -> bool:
        """Whether it has a slot. A slot that ends after `latest` is over, see `rights.py`."""
        return self.state in HOLDS_SPACE and now < self.slot_until <= latest

    def is_being_completed(self, now: float, latest: float = inf) -> bool:
        """Whether a process has the right to complete it; one that ends after `latest` is over."""
        return self.completion is not None and now < self.completion.until <= latest

    def is_complete(self) -> bool:
        """Whether the file was handed over."""
        return self.state is State.COMPLETE

    def uses_ticket(self) -> bool:
        """Whether it counts as a use of its ticket."""
        return self.ticket_id is not None and self.state not in GONE

    def is_of(self, caller: Caller) -> bool:
        """Whether the caller may see it. An owner sees the uploads of guests, too."""
        ticket = caller.ticket
        is_guests_own = ticket is None or self.id == ticket.shows or self.ticket_id == ticket.id
        return caller.owner == self.owner and is_guests_own

    def has_foreign_lease(self, within: Range, token: str) -> bool:
        """Whether a request other than `token` has a lease of any byte of `within`."""
        return any(le.token != token and le.range.overlaps(within) for le in self.leases)

    def needs_no_lease(self, now: float, limits: Limits) -> bool:
        """Whether a request may begin without a lease: none is needed to keep the upload alive.

        That is so while it has a slot, and is nowhere near its expiry, for `UNLEASED` seconds.
        Does not look at the parts, so it can be asked when only some of them were read.
        """
        later = now + UNLEASED
        # A slot is given, or renewed, when the upload was active.
        active_at = self.slot_until - max(limits.turn, limits.slot_idle)
        is_open = self.is_open(now, limits.latest_slot_end(now)) and self.slot_until > later
        return is_open and self.queued_at is None and active_at + limits.expires_after > later

    # Checks.

    def check_owner(self, caller: Caller) -> None:
        """Raises `UploadNotFound` for every other caller, so that ids cannot be probed."""
        if not self.is_of(caller):
            raise UploadNotFound(self.id)

    def check_exists(self) -> None:
        """Raises `UploadGone` when the bytes are deleted."""
        if self.state in GONE:
            raise UploadGone(self.state.value, self.failure)

    def check_receiving(self) -> None:
        """Raises `Queued` before bytes are accepted, and `UploadGone` or `UploadClosed` after."""
        self.check_exists()
        if self.state is State.WAITING:
            raise Queued
        if self.state is not State.RECEIVING:
            raise UploadClosed(self.state.value)

    def check_takes_bytes(self) -> None:
        """As `check_receiving`. Raises `MadeOfPieces` where no request may bring bytes."""
        if self.pieces:
            raise MadeOfPieces
        self.check_receiving()

    def check_joinable(self) -> None:
        """Raises `BadRequest` if no upload can be joined from it, `UploadGone` if it has ended."""
        if not self.is_piece:
            raise BadRequest("pieces", "one of these uploads was not begun as a piece of another")
        self.check_exists()
        if self.length is None:
            raise BadRequest("pieces", "the length of one of these uploads is not known yet")

    def check_offset(self, offset: int) -> None:
        """Raises `OffsetDiffers` unless the bytes from `offset` on are the next ones."""
        if offset != self.offset:
            raise OffsetDiffers(self.offset, offset)

    def check_inside(self, want: Range) -> None:
        """Raises `RangeOutside`, or `TooLarge` while the length is unknown."""
        if self.length is not None and want.end > self.length:
            raise RangeOutside(want.start, want.end, self.length)
        if want.end > self.limit:
            raise TooLarge(self.limit, want.end)

    def check_fragments(self, want: Range) -> None:
        """Raises `TooFragmented` if `want` would be one more part and there are too many.

        A range that touches a part is always accepted: its bytes are merged with that part.
        """
        if self.received.count < MAX_PARTS:
            return
        # With one more byte on each side, a neighbour that only touches overlaps, too.
        around = Range(max(want.start - 1, 0), want.end + 1)
        if self.received.missing(around) == (around,):
            raise TooFragmented(MAX_PARTS)

    def check_parts(self, received: PartSet) -> None:
        """Raises `TooFragmented` if requests that began together leave too many parts.

        `check_fragments` let each of them begin, as there was room for one more part.
        """
        if received.count > max(MAX_PARTS, self.received.count):
            raise TooFragmented(MAX_PARTS)

    # Parts that clients send to the storage themselves, by their numbers.

    def direct_parts(self, numbers: Iterable[int], size: int) -> dict[int, Range]:
        """Where these parts of `size` bytes are; without those that are recorded.

        Raises `BadRequest` for a part that a client must not send to the storage itself: the first
        one, one that the file does not have, or one of which only some bytes are recorded.
        """
        found = self.reported_parts(numbers, size)
        if any(self.received.missing(part) != (part,) for part in found.values()):
            problem = "some bytes of one of these parts are recorded: send the others as chunks"
            raise BadRequest("parts", problem)
        return found

    def reported_parts(self, numbers: Iterable[int], size: int) -> dict[int, Range]:
        """The same, for parts that may be in storage; also if some of their bytes are recorded."""
        length, found = self.length or 0, dict[int, Range]()
        for number in sorted(set(numbers)):
            if number == 1:
                problem = "the first part comes as chunks, so that the file's type is checked"
                raise BadRequest("parts", problem)
            if not 1 < number <= -(-length // size):
                raise BadRequest("parts", "the file does not have all of these parts")
            part = Range((number - 1) * size, min(number * size, length))
            if self.received.missing(part):
                found[number] = part
        return found

    def check_digest(self, digest: Digest | None) -> None:
        """Raises `DigestDiffers` if all bytes are there and have another digest than this one."""
        is_whole = self.state in (State.COMPLETING, State.COMPLETE)
        if digest is not None and is_whole and digest != self.received_digest:
            raise DigestDiffers(str(digest), str(self.received_digest))
