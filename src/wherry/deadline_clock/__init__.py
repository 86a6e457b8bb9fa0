"""The deadline clock: it runs only while a server runs.

Rule 1: it never goes back, never jumps, and does not know the date. Setting the system's
clock moves no deadline.

Rule 2: every process that serves beats once a second. The time between two beats counts
for at most `LONGEST_PAUSE` seconds. So a night without a server, or a machine that slept,
brings no deadline nearer.

Rule 3: all processes that share a catalog read the same clock: from a file in the data folder, or
from the database (`postgres`). Beats are not synced: a power cut may set the clock back by half a
minute, in favour of clients.
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
from typing import Protocol, Self
from zlib import crc32

#: How often a process that serves beats, in seconds.
BEAT_INTERVAL = 1.0
#: How much of the time between two beats counts at most, in seconds.
LONGEST_PAUSE = 3.0
#: A beat in the file: the clock, the system's steady clock at that moment, their CRC-32.
_BEAT = struct.Struct("<ddI")


@dataclass(frozen=True, slots=True)
class Beat:
    """What the deadline clock showed when the system's steady clock showed `steady`."""

    shown: float
    steady: float

    def at(self, steady: float) -> float:
        return self.shown + min(max(steady - self.steady, 0.0), LONGEST_PAUSE)

    def __bytes__(self) -> bytes:
        both = _BEAT.pack(self.shown, self.steady, 0)[:-4]
        return both + struct.pack("<I", crc32(both))

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """The beat in `data`; None if it is damaged or was only half written."""
        if len(data) != _BEAT.size or crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            return None
        shown, steady, _ = _BEAT.unpack(data)
        return cls(shown, steady)


class Beats(Protocol):
    """Where processes that share a clock find each other's beats."""

    def read(self) -> Beat | None:
        """The newest beat that is known. Does not block: a clock is read for each request."""

    def write(self, beat: Beat) -> None:
        """Record that this process serves. Raises `OSError`; then it remembers its own beats."""

    def close(self) -> None: ...


class DeadlineClock:
    """Seconds in which a server ran, counted on from the Unix time of the first start."""

    def __init__(self, beats: Beats, steady: Callable[[], float] = time.monotonic) -> None:
        self._beats, self._steady = beats, steady
        self._own: Beat | None = None

    @classmethod
    def open(cls, path: Path, steady: Callable[[], float] = time.monotonic) -> Self:
        """The clock in this file, to read and to beat. Raises `OSError`.

        On a full disk without the file, this process keeps the clock in memory.
        """
        return cls(FileBeats.open(path), steady)

    @classmethod
    def open_to_read(cls, path: Path, steady: Callable[[], float] = time.monotonic) -> Self:
        """The clock in this file, to read only. The file may not exist yet."""
        return cls(FileBeats.open_to_read(path), steady)

    def start(self, newest: float | None, date: float) -> None:
        """Go on from the newest beat, but not from before `newest`, the newest record.

        If there is no beat, go on from the newest record; if there is no record either, from
        `date` (Unix seconds).
        """
        steady, recorded = self._steady(), self._beats.read()
        if recorded is None:
            self._own = Beat(date if newest is None else newest, steady)
        elif newest is not None and newest > recorded.at(steady):
            self._own = Beat(newest, steady)

    def __call__(self) -> float:
        steady = self._steady()
        beats = (self._own, self._beats.read())
        return max([beat.at(steady) for beat in beats if beat is not None])

    def beat(self) -> None:
        """Record that this process serves. Blocks."""
        # Another process may write between these lines: it writes a time on the same line.
        self._own = Beat(self(), self._steady())
        with suppress(OSError):
            self._beats.write(self._own)

    def close(self) -> None:
        self._beats.close()


class FileBeats:
    """The newest beat of the processes of one machine, in an open file. None: in no file."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """To read and to write. Raises `OSError`, but not for a full disk."""
        try:
            return cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return cls(None)

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """To read only. The file may not exist yet."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return cls(None)

    def read(self) -> Beat | None:
        """The beat in the file; None if there is none, or if it is damaged."""
        if self._fd is None:
            return None
        for _ in range(3):  # a read during a write may return half of each
            try:
                data = os.pread(self._fd, _BEAT.size, 0)
            except OSError:
                continue
            if (beat := Beat.parse(data)) is not None:
                return beat
        return None

    def write(self, beat: Beat) -> None:
        """Replace the beat in the file. Raises `OSError`."""
        if self._fd is not None:
            os.pwrite(self._fd, bytes(beat), 0)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
