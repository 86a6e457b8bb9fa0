"""A request's body as the engine sees it.

Rule 1: bytes go to the sink in order, on a thread, in blocks whose number and size the body
chooses. Nothing here depends on the server or the protocol that brings them.

Rule 2: a body may end early. That is a result (`Ended`) and not an exception, because the bytes
that arrived before are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from wherry.core.digests import Updated, crc64
from wherry.core.ranges import Part, Range

#: Takes the next bytes, off the event loop. The view is valid only during the call.
Sink = Callable[[memoryview], None]
#: What is called before the first of them, off the event loop as well.
First = Callable[[], None]


class Ended(Enum):
    WHOLE = "whole"  #: All bytes arrived.
    CUT = "cut"  #: The client closed the connection before.
    STALLED = "stalled"  #: The client made too little progress for too long.


class Body(Protocol):
    @property
    def remaining(self) -> int:
        """How many announced bytes are still to come; 0 once the body has ended."""

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        """All that is to come, in memory; it stays, to be poured.

        None where that is more than `most`, where too much is held for other requests, or where
        the body ended early: then `pour` gives what came.
        """

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        """Give the sink the next `limit` bytes, or fewer if the body ends.

        `first` is called before, unless the body has ended by then. If it raises, all bytes stay.

        A cancelled `pour` returns only after a running call has returned. Raises what `first` and
        the sink raise.
        """


class Receiver:
    """A sink that writes only the missing bytes, and computes the CRC of each gap.

    `write(at, data)` is storage's. `announced` is the digest of every byte, in the client's
    algorithm, so that it can be checked whether the bytes were missing or not.
    """

    def __init__(
        self,
        start: int,
        gaps: Sequence[Range],
        write: Callable[[int, memoryview], None],
        announced: Updated | None = None,
    ) -> None:
        self.at = start
        self._gaps = list(reversed(gaps))  # the next one last
        self._write = write
        self._announced = announced
        self._open: list[tuple[Range, int, int]] = []  # gap, how far it is filled, CRC

    def __call__(self, data: memoryview) -> None:
        if self._announced is not None:
            self._announced.update(data)
        start, end = self.at, self.at + len(data)
        while len(data) and self._gaps and self._gaps[-1].start < end:
            gap = self._gaps[-1]
            first, last = max(gap.start, start), min(gap.end, end)
            piece = data[first - start : last - start]
            self._write(first, piece)
            if first == gap.start:
                self._open.append((gap, last, crc64(piece)))
            else:
                _, _, crc = self._open.pop()
                self._open.append((gap, last, crc64(piece, crc)))
            if last < gap.end:
                break
            self._gaps.pop()
        self.at = end

    def parts(self, at: float) -> tuple[Part, ...]:
        """What was written so far, as parts that are safe since `at` (deadline clock)."""
        return tuple(Part(gap.start, end, crc, at) for gap, end, crc in self._open)
