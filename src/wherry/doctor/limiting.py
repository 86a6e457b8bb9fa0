"""How the limit is found by requests, whoever makes them: the search, and what its answers say."""

from __future__ import annotations

from collections.abc import Callable

from wherry.core.limits import KiB, MiB
from wherry.doctor.measured import Limit, Refusal
from wherry.doctor.reading import outcome
from wherry.doctor.reply import End, Reply
from wherry.doctor.searching import Outcome, search

#: The type of the bodies, as clients send chunks; and the one that is tried where that is refused.
TYPE = ("content-type", "application/octet-stream")
FORM = ("content-type", "multipart/form-data; boundary=wherry-doctor")
#: The small body that shows what is usual.
SMALL = 1 * KiB
#: Of the bytes that may be spent, what other questions than the limit need.
RESERVED = 1 * MiB
#: The speed shows in bodies of at least this size.
TELLING = 256 * KiB

#: A request with a body of so many bytes; None if no time is left for it.
Make = Callable[[int], Reply | None]


class Limiting:
    """A search for the limit. `begin` comes first.

    `send` sends a body. `announce` announces it and sends a byte of it; None if that cannot be
    done. `bytes_left` and `seconds_left`: what may still be spent.
    """

    def __init__(
        self,
        send: Make,
        bytes_left: Callable[[], int],
        seconds_left: Callable[[], float],
        announce: Make | None = None,
    ) -> None:
        self._make_sent = send
        self._make_announced = announce
        self._bytes_left = bytes_left
        self._seconds_left = seconds_left
        self._usual = Reply()
        self.trip = 0.5  #: Seconds of a small request.
        self._speed = 0.0  # bytes a second, 0: not known
        self._refusal: Reply | None = None
        self._refused_at = 0

    def begin(self, usual: Reply) -> None:
        """`usual`: the answer to a small request, over a connection that was open."""
        self._usual = usual
        self.trip = min(max(usual.over_at, 0.001), 3.0)

    def find(self) -> tuple[Limit, Reply | None]:
        """The limit, and the answer that refused the smallest body that was refused."""
        found = search(self._announce, self._send, self.affordable)
        # What was only announced proves nothing where nothing was refused.
        passes = (found.passes if found.refuses is not None else found.sent) or None
        proof = None if passes is None else "sent" if passes == found.sent else "announced"
        reply = None if found.refuses is None else self._refusal
        refusal = None if reply is None else _describe(reply)
        tried = max(found.passes, found.refuses or 0)
        limit = Limit(passes, found.refuses, found.is_exact, proof, found.sent, refusal, tried)
        return limit, reply

    def affordable(self) -> int:
        """How large a body may still be sent, in bytes."""
        bytes_left = max(self._bytes_left() - RESERVED, 0)
        if self._speed:
            seconds = max(self._seconds_left() - 4.0, 0)
            bytes_left = min(bytes_left, int(self._speed * seconds / 3))
        return bytes_left

    def may_pass(self, size: int) -> bool:
        """Whether no body of that size or less was refused."""
        return self._refusal is None or size < self._refused_at

    def _announce(self, size: int) -> Outcome:
        reply = None if self._make_announced is None else self._make_announced(size)
        if reply is None:
            return Outcome.UNKNOWN
        found = outcome(reply, size, self._usual)
        if reply.end in (End.RESET, End.CLOSED):
            # A server that closes such a connection at once does so for more reasons than size.
            found = Outcome.OPEN
        return self._noted(found, reply, size)

    def _send(self, size: int) -> Outcome:
        """Send a body of that size. A reset counts only if it comes again."""
        found, reply = self._send_once(size)
        if found is Outcome.REFUSED and reply.end is not End.ANSWER:
            found, reply = self._send_once(size)
        if found is Outcome.PASSED and size >= TELLING:
            self._speed = size / max(reply.at - self.trip, 0.001)
        return self._noted(found, reply, size)

    def _send_once(self, size: int) -> tuple[Outcome, Reply]:
        reply = self._make_sent(size)
        if reply is None:
            return Outcome.UNKNOWN, Reply()
        return outcome(reply, size, self._usual), reply

    def _noted(self, found: Outcome, reply: Reply, size: int) -> Outcome:
        if found is Outcome.REFUSED and (self._refusal is None or size < self._refused_at):
            self._refusal, self._refused_at = reply, size
        return found


def _describe(reply: Reply) -> Refusal:
    kinds = {End.ANSWER: "page", End.TIMEOUT: "timeout"}
    return Refusal(reply.status, kinds.get(reply.end, "reset"), reply.is_early, None)
