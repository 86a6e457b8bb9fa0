"""The clock of deadlines: it runs only while a server is there to be asked.

Rule 1: it never goes back, never jumps, and does not know what time it is. The system's
clock may be set as anybody likes; no deadline comes nearer or goes further away by that.

Rule 2: every process that serves beats once a second. What lies between two beats counts
for `MOST` seconds at most, so a night without a server, or a machine that slept, counts
against nobody.

Rule 3: all processes over one data folder read the same clock, from a file there. It is
never synced: what a power cut takes of it was the last half minute, in favour of clients.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zlib import crc32

#: How often a process that serves beats, and what counts of a pause between beats, in seconds.
BEAT_EVERY, MOST = 1.0, 3.0
#: A beat in the file: the clock, the system's steady clock at that moment, their CRC-32.
_BEAT = struct.Struct("<ddI")


@dataclass(frozen=True, slots=True)
class Beat:
    """What the clock showed when the system's steady clock showed `steady`."""

    served: float
    steady: float

    def at(self, steady: float) -> float:
        return self.served + min(max(steady - self.steady, 0.0), MOST)

    def __bytes__(self) -> bytes:
        both = _BEAT.pack(self.served, self.steady, 0)[:-4]
        return both + struct.pack("<I", crc32(both))

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """None for what is no beat, or only half of one."""
        if len(data) != _BEAT.size or crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            return None
        served, steady, _ = _BEAT.unpack(data)
        return cls(served, steady)


class ServedClock:
    """Seconds that were served, counted on from the Unix time of the first start."""

    def __init__(self, fd: int | None, steady: Callable[[], float] = time.monotonic) -> None:
        self._fd, self._steady = fd, steady
        self._own: Beat | None = None

    @classmethod
    def open(cls, path: Path, steady: Callable[[], float] = time.monotonic) -> Self:
        """The clock in this file, to be beaten too. Raises `OSError`.

        Where the disk has no room even for that, this process goes on by what it remembers.
        """
        try:
            return cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), steady)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return cls(None, steady)

    @classmethod
    def look(cls, path: Path, steady: Callable[[], float] = time.monotonic) -> Self:
        """The clock in this file, to be read only; there may be none yet."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC), steady)
        except OSError:
            return cls(None, steady)

    def start(self, newest: float | None, date: float) -> None:
        """Go on from what the file says, and never from before the newest record.

        Without either (a new folder, a file that was lost), go on from the newest record,
        or from today's date.
        """
        steady, recorded = self._steady(), self._read()
        if recorded is None:
            self._own = Beat(date if newest is None else newest, steady)
        elif newest is not None and newest > recorded.at(steady):
            self._own = Beat(newest, steady)

    def __call__(self) -> float:
        steady = self._steady()
        beats = [beat for beat in (self._own, self._read()) if beat is not None]
        return max(beat.at(steady) for beat in beats)

    def beat(self) -> None:
        """Somebody is there to be asked."""
        # Another process may write between these lines: it writes the same line of time.
        self._own = Beat(self(), self._steady())
        if self._fd is not None:
            with suppress(OSError):  # this process goes on by what it remembers
                os.pwrite(self._fd, bytes(self._own), 0)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read(self) -> Beat | None:
        if self._fd is None:
            return None
        for _ in range(3):  # read while it is written, it is half of each
            with suppress(OSError):
                if (beat := Beat.parse(os.pread(self._fd, _BEAT.size, 0))) is not None:
                    return beat
        return None
