"""The upload state machine.

Rule 1: every change to an upload is made here, by a method that returns a new
`Upload`. Nothing but this file and the checks in `facts.py` decides whether it is legal.

Rule 2: nothing here waits, reads a clock, or knows which protocol is asking.
Times (seconds of the deadline clock) and identifiers come in as arguments.

Rule 3: a range belongs to one open request at most, by a lease with the request's token. A new
request for the same bytes takes the lease, and the older one can record nothing any more. The
newest one wins because a client that sends bytes again no longer waits for its first request,
which may hang on a dead connection for minutes. A request that is over in a moment has a lock of
its bytes instead (`record`): it may record unless another request has taken a lease meanwhile.

Rule 4: a completion belongs to one process at most, by `completion`, until its time ends. Then
another process may take it over, and the methods below refuse the token of the first one.

Rule 5: a hook of the application that ends its process (a fault in a C library, or no memory) must
not end every process that takes the completion over. No code runs in a process that has died,
so the call is recorded before it begins (`begin_call`) and forgotten when it ends (`end_call`).
A call that is still recorded when the next process takes over was lost. After
`MAX_LOST_CALLS` of them in a row, the next call has to wait for `LOST_CALL_PAUSE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from wherry.core.digests import Digest
from wherry.core.errors import (
    BadRequest,
    Busy,
    BytesMissing,
    FileDigestMismatch,
    HookEndsServer,
    HookFailed,
    LengthMismatch,
    LengthRequired,
    Superseded,
    TooLarge,
    UploadClosed,
)
from wherry.core.facts import UploadFacts
from wherry.core.joining import Joining, Piece
from wherry.core.limits import Limits
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.rights import Calls, Completion, Lease, latest_end
from wherry.core.states import ACCEPTS, GONE, HOLDS_SPACE, TRANSITIONS, UNFINISHED, State

__all__ = [
    "ACCEPTS",
    "GONE",
    "HOLDS_SPACE",
    "TRANSITIONS",
    "UNFINISHED",
    "Calls",
    "Completion",
    "Lease",
    "State",
    "Upload",
]

#: How many calls of a hook may be lost in a row before the next one has to wait.
MAX_LOST_CALLS = 3
#: How long it then has to wait, in seconds.
LOST_CALL_PAUSE = 3600.0
#: Why a piece has ended whose bytes another upload has.
JOINED = "joined"


@dataclass(frozen=True, slots=True)
class Upload(UploadFacts):
    """One file on its way in, with one method for every change that can happen to it."""

    def lease(
        self,
        want: Range,
        token: str,
        now: float,
        *,
        whole: Range | None = None,
        is_newest: bool = True,
        after: str | None = None,
    ) -> Upload:
        """Give `want` to the request `token`. Others that held any of its bytes lose their lease.

        `whole`: all bytes that the request will bring; of these, too, others lose their leases.
        `is_newest`: False for a request that began before it asks for the lease. It gets
        `Superseded` where another one, which may be newer, has a lease. `after`: the token by
        which the same request has the bytes before `want`; `Superseded` if that has no lease any
        more. Raises `UploadGone`, `UploadClosed`, `RangeOutside`, `TooLarge`, `TooFragmented`.
        """
        self.check_takes_bytes()
        self.check_inside(want)
        if not is_newest and self.has_foreign_lease(want, token):
            raise Superseded
        if after is None:
            self.check_fragments(want)
        elif not self.holds(after):  # otherwise its bytes will be one part with those before
            raise Superseded
        lost = whole if whole is not None and is_newest else want
        kept = (le for le in self.leases if le.token != token and not le.range.overlaps(lost))
        return replace(self, leases=(*kept, Lease(token, want, now)))

    def holds(self, token: str) -> bool:
        """Whether this request still has its lease."""
        return any(lease.token == token for lease in self.leases)

    def release(self, token: str) -> Upload:
        """End the lease of a request that is over. Unchanged if it has none any more."""
        return replace(self, leases=tuple(le for le in self.leases if le.token != token))

    def touch(self, token: str, now: float) -> Upload:
        """Note that bytes come for the request `token`. Unchanged if it has no lease any more."""
        touched = tuple(
            replace(le, at=max(le.at, now)) if le.token == token else le for le in self.leases
        )
        return self if touched == self.leases else replace(self, leases=touched)

    def record(self, token: str, parts: tuple[Part, ...], locked: Range | None = None) -> Upload:
        """Note that `parts` are safe in storage, and end the request's lease.

        `locked`: the range that the request has had the lock of since it found out what is missing
        there. No other request has written these bytes, so it needs no lease of its own; it has
        lost the range when another request has a lease of any of it. Without `locked`, it has lost
        the range when its own lease is gone.

        All of this was checked before the bytes came, but other requests may have changed
        the upload since. Raises `Superseded` when the range is lost to a newer request,
        `RangeOutside` when a length was declared that is less than the end of a part, and
        `TooFragmented` when there would be too many parts.
        """
        self.check_receiving()
        within = locked or next((le.range for le in self.leases if le.token == token), None)
        if within is None or self.has_foreign_lease(within, token):
            raise Superseded
        received = self.received
        for part in parts:
            if not within.start <= part.start < part.end <= within.end:
                raise ValueError(f"{part} lies outside of {within}")
            self.check_inside(part.range)  # the length may have been declared since
            received = received.add(part)
        self.check_parts(received)
        return replace(self.release(token), received=received)

    def record_direct(self, parts: Iterable[Part], now: float, limits: Limits) -> Upload:
        """Note that these parts are in storage, where the client has put them itself.

        A part of which a byte is recorded already is passed over: received bytes never change.
        Requests that write any of the others lose their leases: whoever reports a part is newer.
        Its slot is kept, if it has one. Raises `RangeOutside`, `TooFragmented`.
        """
        self.check_takes_bytes()
        received, leases = self.received, self.leases
        for part in parts:
            self.check_inside(part.range)
            if received.missing(part.range) == (part.range,):
                received = received.add(part)
                leases = tuple(le for le in leases if not le.range.overlaps(part.range))
        self.check_parts(received)
        after = replace(self, received=received, leases=leases)
        is_open = self.is_open(now, limits.latest_slot_end(now))
        return after.keep_slot(now, limits) if is_open else after

    def arrive(
        self,
        length: int,
        crc: int,
        now: float,
        assessment_id: str | None,
        date: float | None = None,
    ) -> Upload:
        """From the queue to complete in one step: one request has brought the whole file.

        `crc`: of all its bytes. `date`: Unix seconds. The same as admitting it, recording the bytes
        as one part, and completing it. Raises `TooLarge`, and `UploadClosed` if it has left the
        queue.
        """
        if self.state is not State.WAITING:
            raise UploadClosed(self.state.value)
        if length > self.limit:
            raise TooLarge(self.limit, length)
        part = (Part(0, length, crc, now),) if length else ()
        return replace(
            self,
            state=State.COMPLETE,
            length=length,
            received=PartSet(part),
            queued_at=None,
            began_at=now,
            assessment_id=assessment_id,
            completed_at=date,
        )

    def enter_queue(self, now: float) -> Upload:
        """Join the queue, to get a slot. An upload in the queue already keeps its position.

        A returning upload stays `receiving` while it waits, because it keeps its space.
        """
        if self.state is not State.WAITING:
            self.check_receiving()
        return self if self.queued_at is not None else replace(self, queued_at=now)

    def admit(self, now: float, until: float) -> Upload:
        """Leave the queue with a reservation, and with a slot that ends at `until`.

        Unchanged if it is not in the queue: two processes may try to admit the same upload.
        """
        if self.queued_at is None:
            return self
        after = self._move(State.RECEIVING) if self.state is State.WAITING else self
        return replace(after, queued_at=None, began_at=now, slot_until=until)

    def forfeit(self, now: float) -> Upload:
        """Expire an upload that was admitted and has sent nothing when its slot ends.

        Unchanged if bytes have come, or may still come by an open request.
        """
        begun = self.received.count or self.leases or self.state is not State.RECEIVING
        begun = begun or bool(self.pieces)  # which bring its bytes
        if begun or self.queued_at is not None or self.slot_until > now:
            return self
        return self._end(State.EXPIRED, "it was admitted and sent nothing in time", now)

    def keep_slot(self, now: float, limits: Limits) -> Upload:
        """Give an upload that sends bytes a slot for `slot_idle` seconds from `now`.

        Unchanged while more than half of that time is left: every change rewrites the
        upload's row in the catalog, which would cost too much for every chunk. A piece that is
        whole needs none any more.
        """
        if self.is_piece and self.is_whole:
            return replace(self, slot_until=0.0) if self.slot_until else self
        is_long = self.slot_until - now > limits.slot_idle / 2
        if self.state not in HOLDS_SPACE or (
            is_long and self.is_open(now, limits.latest_slot_end(now))
        ):
            return self
        return replace(self, slot_until=now + limits.slot_idle)

    def declare_length(self, length: int) -> Upload:
        """Fix the length. A client may declare it late, but cannot change it afterwards.

        Raises `LengthMismatch` for another length than before, or for less than has been
        received already, and `TooLarge` for more than the upload's limit.
        """
        self.check_receiving()
        if self.length is not None and self.length != length:
            raise LengthMismatch(declared=self.length, provided=length)
        if length < self.received.end:
            raise LengthMismatch(declared=self.received.end, provided=length)
        if length > self.limit:
            raise TooLarge(self.limit, length)
        return replace(self, length=length)

    def announce_fingerprint(self, fingerprint: str | None) -> Upload:
        """Record the fingerprint by which the client finds the upload again. None: no change.

        Some protocols send it with the first bytes, when the upload exists already.
        """
        self.check_receiving()
        return self if fingerprint is None else replace(self, fingerprint=fingerprint)

    def begin_completion(self, token: str, now: float, until: float) -> Upload:
        """Begin the completion, or take it over from a process whose time has ended.

        All leases of requests end, so no byte can be recorded once this is done. Calls that were
        not recorded as ended become orphaned: the process that made them does not run them any
        more. Raises `BytesMissing`, `FileDigestMismatch`, `LengthRequired`, `UploadClosed`,
        `UploadGone`, and `Busy` while another process has the right to complete.
        """
        self.check_exists()
        if self.is_being_completed(now, latest_end(now, until - now)):
            raise Busy("completing this upload")
        if self.state is not State.COMPLETING:
            self.check_receiving()
            self.check_whole()
        after = self if self.state is State.COMPLETING else self._move(State.COMPLETING)
        calls = replace(self.calls, is_orphaned=self.calls.lost > 0)
        completion = Completion(token, until)
        return replace(after, leases=(), queued_at=None, completion=completion, calls=calls)

    # Pieces, and what is joined from them.

    def join_from(self, pieces: Iterable[Upload]) -> Upload:
        """This new upload, with the bytes of these pieces, which have the space that it needs."""
        joining = Joining(tuple(Piece(each.id, each.length or 0) for each in pieces))
        return replace(
            self,
            state=State.RECEIVING,
            queued_at=None,
            limit=0,
            length=joining.length,
            joining=joining,
        )

    def claim(self, into: str, instead_of: str | None = None) -> Upload:
        """Note of a piece that the upload `into` is to get its bytes.

        `instead_of`: an upload that has ended, and may have been noted before. Raises as
        `check_joinable` does, and `BadRequest` if it belongs to another upload.
        """
        self.check_joinable()
        if self.joined_into not in (None, into, instead_of):
            raise BadRequest("pieces", "one of these uploads is a piece of another one already")
        return self if self.joined_into == into else replace(self, joining=Joining(into=into))

    def join(self, part: Part) -> Upload:
        """Note that the bytes of a piece are safe in storage as this `part`."""
        self.check_receiving()
        if self.received.missing(part.range) != (part.range,):
            return self
        return replace(self, received=self.received.add(part))

    def end_piece(self, into: str, now: float) -> Upload:
        """End a piece whose bytes the upload `into` has. Unchanged if it has ended already."""
        if self.state in GONE:
            return self
        return replace(self._end(State.CANCELLED, JOINED, now), joining=Joining(into=into))

    def is_joined(self) -> bool:
        """Whether it was a piece, and its bytes are in the upload `joined_into`."""
        return self.is_piece and self.state is State.CANCELLED and self.failure == JOINED

    def check_whole(self) -> None:
        """Raises `BytesMissing` with the first gaps, `LengthRequired`, `FileDigestMismatch`.

        And `BadRequest` for a piece, which is no file.
        """
        if self.is_piece:
            raise BadRequest("upload_id", "is a piece of a file, to be joined with the others")
        if gaps := self.missing:
            raise BytesMissing(tuple((gap.start, gap.end) for gap in gaps))
        if self.length is None:
            raise LengthRequired
        if self.digest is not None and self.digest != self.received_digest:
            raise FileDigestMismatch(str(self.digest), str(self.received_digest))

    def begin_call(self, token: str, now: float, is_named: bool) -> Upload:
        """Record that a hook is about to be called (Rule 5).

        `is_named`: the file has its final name, so the hook is `on_complete`; otherwise it is
        `before_complete`. Raises `Superseded`, and `HookEndsServer` when calls were lost
        too often and the pause is not over.
        """
        self._require_completer(token)
        since = now - self.calls.at
        if self.calls.lost >= MAX_LOST_CALLS and 0 <= since < LOST_CALL_PAUSE:
            raise HookEndsServer(self._hook, self.id, int(LOST_CALL_PAUSE - since) + 1)
        # The first call of `on_complete`: `before_complete` has returned, or the file would have
        # no name. So lost calls of `before_complete` do not count against `on_complete`.
        lost = 0 if is_named and not self.is_named else self.calls.lost
        calls = Calls(lost + 1, now)
        return replace(self, calls=calls, is_named=self.is_named or is_named)

    def end_call(self) -> Upload:
        """Record that the hook returned or raised. If the process ends now, the hook is not why."""
        return replace(self, calls=Calls())

    def check_hook(self, now: float, timeout: float) -> None:
        """Raises `HookFailed` if a hook has been running for `timeout` seconds or longer.

        An orphaned call does not run: the process that took over may still wait for a hook slot
        and has called nothing yet. The same is true if no process has the right to complete.
        """
        is_alive = self.completion is not None and self.completion.until > now
        is_running = self.calls.lost and not self.calls.is_orphaned
        if is_alive and is_running and now - self.calls.at >= timeout:
            raise HookFailed(self._hook, self.id, "has not returned in time")

    @property
    def _hook(self) -> str:
        return "on_complete" if self.is_named else "before_complete"

    def renew(self, token: str, until: float) -> Upload:
        """Extend the right to complete. Raises `Superseded` if another process has it by now."""
        self._require_completer(token)
        return replace(self, completion=Completion(token, until))

    def interrupt(self, token: str) -> Upload:
        """Give up the right to complete after a failure; any process may begin again.

        No hook runs at this moment. So a call that `token` made has ended, whatever failed
        after it, and is forgotten; orphaned calls were made by others, and stay.
        """
        self._require_completer(token)
        calls = self.calls if self.calls.is_orphaned else Calls()
        return replace(self, completion=None, calls=calls)

    def complete(self, token: str, assessment_id: str | None, date: float | None = None) -> Upload:
        """The file is handed over. `date`: Unix seconds.

        Raises `Superseded` if another process completes it by now.
        """
        self._require_completer(token)
        return replace(
            self._move(State.COMPLETE),
            completion=None,
            calls=Calls(),
            slot_until=0.0,
            assessment_id=assessment_id,
            completed_at=date,
        )

    def complete_at_once(
        self, now: float, assessment_id: str | None, date: float | None = None
    ) -> Upload:
        """Both ends of a completion in one change, where no hook is called between them.

        Raises as `begin_completion` does, and `UploadClosed` if another completion has begun.
        """
        self.check_receiving()
        # The right to complete begins and ends in this change, so no process ever has it.
        return self.begin_completion(self.id, now, now).complete(self.id, assessment_id, date)

    def announce_digest(self, digest: Digest | None) -> Upload:
        """Record a digest of the whole file that came after the upload was created.

        Unchanged once the bytes have been checked. Raises `BadRequest` for another digest than the
        one announced before, and `DigestDiffers` if the complete file has another digest.
        """
        self.check_digest(digest)
        if digest is None or self.state not in ACCEPTS:
            return self
        if self.digest not in (None, digest):
            raise BadRequest("digest", "is another than was announced before")
        return replace(self, digest=digest)

    def cancel(self, now: float, latest: float = inf) -> Upload:
        """The client gives up. Unchanged if the upload has ended without a file already.

        `latest`: the latest moment at which a right to complete can end (see `rights.py`).
        Raises `Busy` while it is being completed, `UploadClosed` when it is complete.
        """
        if self.state in GONE:
            return self
        if self.is_being_completed(now, latest):
            raise Busy("completing this upload")
        return self._end(State.CANCELLED, None, now)

    def expire(self, now: float, expires_after: float) -> Upload:
        """Give up an upload whose last byte came `expires_after` seconds ago or earlier.

        Unchanged while a process completes it.
        """
        if self.state in GONE or self.is_complete() or self.completion is not None:
            return self
        return (
            self._end(State.EXPIRED, None, now) if now >= self.expires_at(expires_after) else self
        )

    def vanish(self, now: float, token: str | None = None) -> Upload:
        """Expire an upload whose folder was removed from outside, for example by a clean-up job.

        A late request also finds no folder after completion has moved the file, although
        nothing is lost. So once the upload is completing, only the process with the right to
        complete (`token`) may report this. Raises `Superseded` for every other one.
        """
        self._require_in_charge(token)
        return self._end(State.EXPIRED, "its folder was removed", now)

    def fail(self, reason: str, now: float, token: str | None = None) -> Upload:
        """Its content was refused; `reason` is the code of the error. Raises as `vanish` does."""
        self._require_in_charge(token)
        return self._end(State.FAILED, reason, now)

    def note_sha256(self, sha256: str) -> Upload:
        """Record the SHA-256 of the complete file. Raises `UploadClosed` for any other one."""
        if self.state is not State.COMPLETE:
            raise UploadClosed(self.state.value)
        return self if self.sha256 == sha256 else replace(self, sha256=sha256)

    def discard(self, now: float) -> Upload:
        """Its finished file was deleted or moved away. The upload stays recorded as complete."""
        if self.state is not State.COMPLETE:
            raise UploadClosed(self.state.value)
        return self if self.discarded_at is not None else replace(self, discarded_at=now)

    def _end(self, state: State, reason: str | None, now: float) -> Upload:
        ended = self._move(state)
        return replace(
            ended,
            leases=(),
            completion=None,
            calls=Calls(),
            queued_at=None,
            slot_until=0.0,
            failure=reason,
            ended_at=now,
        )

    def _require_in_charge(self, token: str | None) -> None:
        self.check_exists()
        if self.state is State.COMPLETING:
            self._require_completer(token)

    def _require_completer(self, token: str | None) -> None:
        self.check_exists()
        if self.completion is None or self.completion.token != token:
            raise Superseded

    def _move(self, to: State) -> Upload:
        if to not in TRANSITIONS[self.state]:
            raise UploadClosed(self.state.value)
        return replace(self, state=to)
