"""The upload state machine.

Rule 1: every change to an upload is made here, by a method that returns a new
`Upload`. Nothing but this file and the checks in `facts.py` decides whether it is legal.

Rule 2: nothing here waits, reads a clock, or knows which protocol is asking.
Times (seconds of the deadline clock) and identifiers come in as arguments.

Rule 3: a range belongs to one open request. The newest takes it; the one
before can no longer record anything (its token is gone).
"""

from __future__ import annotations

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
from wherry.core.limits import Limits
from wherry.core.ranges import Part, Range
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

#: Calls into the application that may end the process before the next one has to wait.
MAX_LOST_CALLS = 3
#: How long it then has to wait, in seconds.
LOST_CALL_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class Upload(UploadFacts):
    """One file on its way in, and every change that may happen to it."""

    def lease(self, want: Range, token: str, now: float) -> Upload:
        """Give `want` to the request `token`; requests that held any of it lose theirs.

        Raises `UploadGone`, `UploadClosed`, `RangeOutside`, `TooLarge`, `TooFragmented`.
        """
        self.check_receiving()
        self.check_inside(want)
        self.check_fragments(want)
        kept = (le for le in self.leases if le.token != token and not le.range.overlaps(want))
        return replace(self, leases=(*kept, Lease(token, want, now)))

    def holds(self, token: str) -> bool:
        return any(lease.token == token for lease in self.leases)

    def release(self, token: str) -> Upload:
        """The request is over; without effect if it no longer holds its range."""
        return replace(self, leases=tuple(le for le in self.leases if le.token != token))

    def touch(self, token: str, now: float) -> Upload:
        """The request `token` brings bytes; without effect if it no longer holds its range."""
        touched = tuple(
            replace(le, at=max(le.at, now)) if le.token == token else le for le in self.leases
        )
        return self if touched == self.leases else replace(self, leases=touched)

    def record(self, token: str, parts: tuple[Part, ...]) -> Upload:
        """Note that `parts` are safe in storage, and end the request's lease.

        Raises `Superseded` when a newer request has taken the range, `RangeOutside`
        when a length was declared meanwhile that lies before it, `TooFragmented` when
        requests that began together would leave more parts than an upload may have.
        """
        self.check_receiving()
        mine = next((lease for lease in self.leases if lease.token == token), None)
        if mine is None:
            raise Superseded
        received = self.received
        for part in parts:
            if not mine.range.start <= part.start < part.end <= mine.range.end:
                raise ValueError(f"{part} lies outside the lease {mine}")
            self.check_inside(part.range)  # the length may have been declared since
            received = received.add(part)
        self.check_parts(received)
        return replace(self.release(token), received=received)

    def enter_queue(self, now: float) -> Upload:
        """It has no slot and waits for one; in the queue already, it keeps its position."""
        if self.state is not State.WAITING:
            self.check_receiving()
        return self if self.queued_at is not None else replace(self, queued_at=now)

    def admit(self, now: float, until: float) -> Upload:
        """It has space, and a slot until then. Unchanged if it is not in the queue."""
        if self.queued_at is None:
            return self
        after = self._move(State.RECEIVING) if self.state is State.WAITING else self
        return replace(after, queued_at=None, began_at=now, slot_until=until)

    def forfeit(self, now: float) -> Upload:
        """It was admitted and sent nothing in its time; unchanged if a byte came, or may come."""
        begun = self.received.parts or self.leases or self.state is not State.RECEIVING
        if begun or self.queued_at is not None or self.slot_until > now:
            return self
        return self._end(State.EXPIRED, "it was let in and sent nothing")

    def keep_slot(self, now: float, limits: Limits) -> Upload:
        """Bytes come; recorded not at every chunk, for that rewrites the upload's row."""
        is_long = self.slot_until - now > limits.slot_idle / 2
        if self.state not in HOLDS_SPACE or (
            is_long and self.is_open(now, limits.latest_slot_end(now))
        ):
            return self
        return replace(self, slot_until=now + limits.slot_idle)

    def declare_length(self, length: int) -> Upload:
        """Fix the length, which a client may learn late but never change."""
        self.check_receiving()
        if self.length is not None and self.length != length:
            raise LengthMismatch(declared=self.length, provided=length)
        if length < self.received.end:
            raise LengthMismatch(declared=self.received.end, provided=length)
        if length > self.limit:
            raise TooLarge(self.limit, length)
        return replace(self, length=length)

    def announce_fingerprint(self, fingerprint: str | None) -> Upload:
        """By what its client finds it again, where that came with the bytes."""
        self.check_receiving()
        return self if fingerprint is None else replace(self, fingerprint=fingerprint)

    def begin_completion(self, token: str, now: float, until: float) -> Upload:
        """Begin completion, or take it over from somebody whose time is up.

        Raises `BytesMissing`, `FileDigestMismatch`, `Busy`, `UploadClosed`, `UploadGone`.
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

    def check_whole(self) -> None:
        """Raises `BytesMissing` with the first gaps, `LengthRequired`, `FileDigestMismatch`."""
        if gaps := self.missing:
            raise BytesMissing(tuple((gap.start, gap.end) for gap in gaps))
        if self.length is None:
            raise LengthRequired
        if self.digest is not None and self.digest != self.received_digest:
            raise FileDigestMismatch(str(self.digest), str(self.received_digest))

    def begin_call(self, token: str, now: float, is_named: bool) -> Upload:
        """One of the application's hooks is called from now on.

        A call counts until its end is recorded, so a hook that ends its process is recognised.
        Raises `HookEndsServer` when that has happened too often, `Superseded`.
        """
        self._require_completer(token)
        since = now - self.calls.at
        if self.calls.lost >= MAX_LOST_CALLS and 0 <= since < LOST_CALL_PAUSE:
            raise HookEndsServer(self._hook, self.id, int(LOST_CALL_PAUSE - since) + 1)
        # A file gets its name only after `before_complete` has returned.
        lost = 0 if is_named and not self.is_named else self.calls.lost
        calls = Calls(lost + 1, now)
        return replace(self, calls=calls, is_named=self.is_named or is_named)

    def end_call(self) -> Upload:
        """The hook returned or raised: whatever else ends the process, it was not the hook."""
        return replace(self, calls=Calls())

    def check_hook(self, now: float, timeout: float) -> None:
        """Raises `HookFailed` while a hook runs for longer than `timeout` seconds.

        A call of an earlier process is not one that runs: whoever took over may still wait
        for a hook slot, and has called nothing yet.
        """
        is_alive = self.completion is not None and self.completion.until > now
        is_running = self.calls.lost and not self.calls.is_orphaned
        if is_alive and is_running and now - self.calls.at >= timeout:
            raise HookFailed(self._hook, self.id, "has not returned in time")

    @property
    def _hook(self) -> str:
        return "on_complete" if self.is_named else "before_complete"

    def renew(self, token: str, until: float) -> Upload:
        """The one who completes needs longer. Raises `Superseded` if it is another by now."""
        self._require_completer(token)
        return replace(self, completion=Completion(token, until))

    def interrupt(self, token: str) -> Upload:
        """Completion did not get through; anybody may take it up again."""
        self._require_completer(token)
        return replace(self, completion=None)

    def complete(self, token: str, assessment_id: str | None) -> Upload:
        """Handed over. Raises `Superseded` if somebody else completes it by now."""
        self._require_completer(token)
        return replace(
            self._move(State.COMPLETE),
            completion=None,
            calls=Calls(),
            slot_until=0.0,
            assessment_id=assessment_id,
        )

    def announce_digest(self, digest: Digest | None) -> Upload:
        """A whole-file digest that came later than with `init`.

        Once the bytes were checked it changes nothing. Raises `BadRequest` for another one
        than was announced before, and `DigestDiffers` for another one than the file has.
        """
        self.check_digest(digest)
        if digest is None or self.state not in ACCEPTS:
            return self
        if self.digest not in (None, digest):
            raise BadRequest("digest", "is another than was announced before")
        return replace(self, digest=digest)

    def cancel(self, now: float, latest: float = inf) -> Upload:
        """The client gives up; asked again, nothing changes.

        `latest`: until when somebody may have the right to complete it.
        Raises `Busy` while it is being completed, `UploadClosed` when it is complete.
        """
        if self.state in GONE:
            return self
        if self.is_being_completed(now, latest):
            raise Busy("completing this upload")
        return self._end(State.CANCELLED, None)

    def expire(self, now: float, expires_after: float) -> Upload:
        """Unchanged unless nobody completes it and its last byte came too long ago."""
        if self.state in GONE or self.is_complete() or self.completion is not None:
            return self
        return self._end(State.EXPIRED, None) if now >= self.expires_at(expires_after) else self

    def vanish(self, token: str | None = None) -> Upload:
        """Somebody removed its folder: that is an expiry, and said so.

        A late request finds no folder either when completion has moved the file:
        from then on only the one who completes may say so. Raises `Superseded`.
        """
        self._require_in_charge(token)
        return self._end(State.EXPIRED, "its folder was removed")

    def fail(self, reason: str, token: str | None = None) -> Upload:
        """Its content was refused; `reason` is an error's code. Raises as `vanish` does."""
        self._require_in_charge(token)
        return self._end(State.FAILED, reason)

    def discard(self, now: float) -> Upload:
        """Its finished file is deleted; what was handed over stays recorded."""
        if self.state is not State.COMPLETE:
            raise UploadClosed(self.state.value)
        return self if self.discarded_at is not None else replace(self, discarded_at=now)

    def _end(self, state: State, reason: str | None) -> Upload:
        ended = self._move(state)
        return replace(
            ended,
            leases=(),
            completion=None,
            calls=Calls(),
            queued_at=None,
            slot_until=0.0,
            failure=reason,
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
