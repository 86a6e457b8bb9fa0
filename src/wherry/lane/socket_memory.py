"""What the kernel holds of the bodies that are being read: SO_RCVLOWAT and SO_RCVBUF.

Rule 1: a socket whose client is fast gathers many bytes before it wakes a thread (its low-water
mark). Otherwise most of the time goes into waking up for a few packets.

Rule 2: a socket that has waited for `QUIET` seconds wakes for every byte again. So what a client
has sent is never held back for longer, and a client that has become slow looks slow.

Rule 3: bytes in the kernel are memory, too. All marks together are `MARKS` at most. The kernel
lets the buffer of a fast socket grow up to megabytes; where many bodies are read at once, their
sockets share `BUFFERS` instead.
"""

from __future__ import annotations

import socket
import threading
import time

from wherry.core.limits import KiB, MiB

#: A socket's low-water mark is this at most, or 1; all marks together. In bytes.
MOST, LEAST, MARKS = 512 * KiB, 64 * KiB, 32 * MiB
#: So many bodies have buffers as the kernel likes.
FEW = 8
#: What the sockets of more bodies share; and the least and the most of one of them, in bytes.
BUFFERS, NARROWEST, WIDEST = 16 * MiB, 128 * KiB, 512 * KiB
#: How long a socket may wait for more than a byte, in seconds.
QUIET = 0.1


class SocketMemory:
    """The sockets of all bodies that are being read. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: dict[socket.socket, tuple[int, float]] = {}  # bytes, and since when it waits
        self._total = 0
        self._swept = 0.0

    def has_marks(self) -> bool:
        """Whether there is a mark that `sweep` may have to lower."""
        return bool(self._marks)

    def narrow(self, connection: socket.socket, bodies: int) -> None:
        """Bound the buffer of a socket that is one of `bodies`.

        The connection keeps the bound: the kernel's own size would have to be found out anew.
        """
        if bodies > FEW:
            size = min(max(BUFFERS // bodies, NARROWEST), WIDEST)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def wait(self, connection: socket.socket, left: int, *, is_fast: bool) -> None:
        """Set the mark of a socket that now waits; `left`: the bytes that it may still bring.

        `is_fast`: whether it brought many bytes at once. No other mark is raised.
        """
        with self._lock:
            current, _ = self._marks.get(connection, (0, 0))
            wanted = min(MOST if is_fast else current, left, current + MARKS - self._total)
            self._set(connection, wanted if wanted >= LEAST else 0)

    def lower(self, connection: socket.socket) -> None:
        """Let the socket wake for every byte. It may be closed after that."""
        with self._lock:
            self._set(connection, 0)

    def sweep(self) -> None:
        """Lower the marks that have been waiting for too long."""
        now = time.monotonic()
        with self._lock:
            if now - self._swept >= QUIET / 4:
                self._swept = now
                late = [c for c, (_, since) in self._marks.items() if now - since > QUIET]
                for connection in late:
                    self._set(connection, 0)

    def _set(self, connection: socket.socket, mark: int) -> None:
        current, _ = self._marks.pop(connection, (0, 0))
        self._total += mark - current
        if mark:
            self._marks[connection] = mark, time.monotonic()
        if mark != current:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(mark, 1))
