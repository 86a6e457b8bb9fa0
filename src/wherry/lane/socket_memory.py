"""What the kernel holds of the bodies that are being read: SO_RCVLOWAT and SO_RCVBUF.

Rule 1: a socket gathers many bytes before it wakes a thread (its low-water mark). Otherwise most of
the time goes into waking up for a few packets. A client that brings much at once gets a large mark
for a short time, any other client a small mark for a longer time.

Rule 2: when the time of a mark is over, the socket wakes for every byte. So what a client has sent
is not held back for longer than that, and a slow client wakes a thread once in `PATIENCE`.

Rule 3: bytes in the kernel are memory, too. All marks together are `MARKS` at most. The kernel
lets the buffer of a fast socket grow up to megabytes; where many bodies are read at once, their
sockets share `BUFFERS` instead.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import OrderedDict

from wherry.core.limits import KiB, MiB

#: A client that brings so much at once is fast, in bytes.
FAST = 128 * KiB
#: The low-water mark of a fast client's socket, and of any other; all marks together. In bytes. The
#: small one is well below what the kernel takes from a client before that client has to wait.
LARGE, SMALL, MARKS = 512 * KiB, 32 * KiB, 32 * MiB
#: How long a socket may wait for a large mark, and for a small one, in seconds.
QUIET, PATIENCE = 0.1, 1.0
#: So many bodies have buffers as the kernel likes.
FEW = 8
#: What the sockets of more bodies share; and the least and the most of one of them, in bytes.
BUFFERS, NARROWEST, WIDEST = 16 * MiB, 128 * KiB, 512 * KiB

_Marks = OrderedDict[socket.socket, tuple[int, float]]


class SocketMemory:
    """The sockets of all bodies that are being read. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The marks, and since when their sockets wait; the oldest first.
        self._fast: _Marks = OrderedDict()
        self._slow: _Marks = OrderedDict()
        self._total = 0
        self._small = SMALL
        self._swept = 0.0

    def has_marks(self) -> bool:
        """Whether there is a mark that `sweep` may have to lower."""
        return bool(self._fast or self._slow)

    def narrow(self, connection: socket.socket, bodies: int) -> None:
        """Bound the buffer of a socket that is one of `bodies`, and all small marks.

        The connection keeps the bound: the kernel's own size would have to be found out anew.
        """
        self._small = min(SMALL, MARKS // bodies)
        if bodies > FEW:
            size = min(max(BUFFERS // bodies, NARROWEST), WIDEST)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def wait(self, connection: socket.socket, left: int, *, is_fast: bool) -> None:
        """Set the mark of a socket that now waits; `left`: the bytes that it may still bring.

        `is_fast`: whether it has lately brought `FAST` bytes at once.
        """
        with self._lock:
            if is_fast or connection in self._fast:
                self._set(connection, min(LARGE, left), self._fast)
            else:
                self._set(connection, min(self._small, left), self._slow)

    def lower(self, connection: socket.socket) -> None:
        """Let the socket wake for every byte. It may be closed after that."""
        with self._lock:
            self._set(connection, 0, self._slow)

    def sweep(self) -> None:
        """Lower the marks that have been waiting for too long."""
        now = time.monotonic()
        with self._lock:
            if now - self._swept < QUIET / 4:
                return
            self._swept = now
            for marks, patience in ((self._fast, QUIET), (self._slow, PATIENCE)):
                while marks:
                    connection, (_, since) = next(iter(marks.items()))
                    if now - since <= patience:
                        break
                    self._set(connection, 0, marks)

    def _set(self, connection: socket.socket, wanted: int, marks: _Marks) -> None:
        before = self._fast if connection in self._fast else self._slow
        current, _ = before.pop(connection, (0, 0.0))
        self._total -= current
        mark = min(wanted, MARKS - self._total)
        if mark > 1:
            self._total += mark
            marks[connection] = mark, time.monotonic()
        if max(mark, 1) != max(current, 1):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(mark, 1))
