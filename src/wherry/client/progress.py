"""The progress of an upload, as the caller may show it.

Rule 1: the bytes of a request that may be refused for its size count when it is answered, and not
while they are sent. So no refused byte is progress.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

#: Speed is measured over the last `WINDOW` seconds, and over at least `SHORTEST`.
WINDOW, SHORTEST = 10.0, 0.2
#: Progress is reported at each change of state, else at most once in this time (seconds).
REPORT_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of an upload. Sizes in bytes, times in seconds.

    `state`: starting, sending, waiting (in the server's queue, at `position`), retrying,
    completing, done. `bytes_safe` are acknowledged; `bytes_sent` includes the bytes in flight, but
    for those of a request that is larger than any that has passed.
    `refused_size`: a request of this size was refused; `chunk_size`: the size that is tried now.
    `problem`: why it is retrying, unless the reason is a refusal for size.
    """

    state: str
    bytes_total: int
    bytes_sent: int = 0
    bytes_safe: int = 0
    chunk_size: int | None = None
    refused_size: int | None = None
    speed: float | None = None  #: Bytes a second.
    seconds_left: float | None = None
    position: int | None = None
    retry_after: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A finished upload, and what it cost. Sizes in bytes, times in seconds.

    `bytes_sent_twice`: bytes that were sent in vain: refused, lost, or already received.
    `complete_seconds`: from the request for completion to its answer. `was_there`: an earlier
    upload of the same file was complete, so nothing was sent; `deleted_at` (RFC 3339) says when
    its file was deleted or moved away. `direct_bytes`: how many went to the object store directly,
    and not through Wherry.
    """

    upload_id: str
    assessment_id: str | None
    filename: str
    size: int
    bytes_sent: int
    bytes_sent_twice: int
    requests: int
    refused: int
    resumed_bytes: int
    chunk_size: int | None
    complete_seconds: float
    seconds: float
    was_there: bool = False
    deleted_at: str | None = None
    direct_bytes: int = 0


OnProgress = Callable[[Progress], None]


class ProgressReporter:
    """Counts the bytes that one upload sends, and calls `on_progress`.

    `now` is in seconds on any steady clock, everything else in bytes.
    """

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self.sent = 0  #: In all, useful or not.
        self.flying = 0  #: Sent in requests of a size that passes, without an answer yet.
        self.safe = 0
        self.refused = 0  #: Requests refused for their size.
        self._total = total
        self._on_progress = on_progress
        self._noted: deque[tuple[float, int]] = deque()
        self._reported: tuple[str, float] = ("", 0.0)
        self._chunk_size: int | None = None
        self._refused_size: int | None = None

    def note_sent(self, size: int, now: float, *, is_proven: bool) -> None:
        """`is_proven`: a request of this size has passed before."""
        self.sent += size
        self.flying += size if is_proven else 0
        if not self._noted or now - self._noted[-1][0] >= REPORT_INTERVAL:
            self._noted.append((now, self.sent))
        while self._noted[0][0] < now - WINDOW:
            self._noted.popleft()
        self.report("sending", now)

    def note_answered(self, flown: int, safe: int, *, was_proven: bool = True) -> None:
        """`flown` bytes got an answer, whatever it is; `safe` bytes are safe in all.

        `was_proven`: as it was when they were sent.
        """
        self.flying -= flown if was_proven else 0
        self.safe = safe

    def note_size(self, size: int) -> None:
        """Chunks have this size now."""
        self._chunk_size = size

    def note_refused(self, size: int) -> None:
        self.refused += 1
        self._refused_size = size

    def report(
        self,
        state: str,
        now: float,
        retry_after: float | None = None,
        position: int | None = None,
        problem: str | None = None,
    ) -> None:
        before, at = self._reported
        if self._on_progress is None or (state == before and now - at < REPORT_INTERVAL):
            return
        self._reported = (state, now)
        sent, speed = self._sent(), self._speed()
        self._on_progress(
            Progress(
                state,
                self._total,
                sent,
                self.safe,
                self._chunk_size,
                self._refused_size,
                speed,
                self.seconds_left,
                position,
                retry_after,
                problem,
            )
        )

    @property
    def seconds_left(self) -> float | None:
        """Until all is sent, at the speed of the last seconds; None while that is not known."""
        speed = self._speed()
        return (self._total - self._sent()) / speed if speed else None

    def _sent(self) -> int:
        return min(self.safe + self.flying, self._total)

    def _speed(self) -> float | None:
        """Bytes a second over the last seconds; None if there is too little to measure."""
        if not self._noted:
            return None
        (first, before), (last, after) = self._noted[0], self._noted[-1]
        return (after - before) / (last - first) if last - first > SHORTEST else None
