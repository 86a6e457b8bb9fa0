"""The threads that read bodies, and how they wait for sockets.

Rule 1: no thread waits for a client. All of them wait for all sockets together; a thread takes a
socket that has bytes, reads what is there, and gives the socket back.

Rule 2: a buffer belongs to a thread and not to a body. So memory does not grow with the number of
bodies. More threads have smaller buffers.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING

from wherry.core.limits import MiB
from wherry.lane.socket_memory import QUIET, SocketMemory

if TYPE_CHECKING:
    from wherry.lane.reading import Reading

#: How many threads read. While one writes to the disk, another one may receive.
THREADS = 4
#: The same where they send to an object store, and mostly wait for it.
DISTANT_THREADS = 16
#: The buffers of all threads together, in bytes.
BUFFERS = 4 * MiB
#: A thread ends when no body is open for so long, in seconds.
IDLE_SECONDS = 10.0

#: One event, and then the socket is silent until it is armed again: one thread for one socket.
_ONE_EVENT = getattr(select, "EPOLLIN", 0) | getattr(select, "EPOLLONESHOT", 0)


class Readers:
    """The threads of one process."""

    def __init__(self) -> None:
        self.most = THREADS
        self.memory = SocketMemory()
        self._lock = threading.Lock()
        self._open: dict[int, Reading] = {}
        self._threads = 0
        # A queue beside the sockets, with a descriptor that is readable as often as there are
        # entries.
        self._queue: deque[Reading] = deque()
        self._queued = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        self._epoll = select.epoll()
        self._epoll.register(self._queued, select.EPOLLIN)

    def open(self, reading: Reading) -> int:
        """Make the socket known, and say how many are. No thread looks at it before `arm`.

        Raises `OSError`, also where there is no thread and none can be started.
        """
        with self._lock:
            if self._threads < min(self.most, len(self._open) + 1):
                self._start()
            # An error is reported unasked: once, and then the socket is silent.
            self._epoll.register(reading.fileno, select.EPOLLONESHOT)
            self._open[reading.fileno] = reading
            return len(self._open)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="wherry-lane", daemon=True)
        self._threads += 1
        try:
            thread.start()
        except RuntimeError as error:
            self._threads -= 1
            if not self._threads:
                raise OSError(errno.EAGAIN, "no thread can be started") from error

    def close(self, reading: Reading) -> None:
        with self._lock:
            del self._open[reading.fileno]
            self._epoll.unregister(reading.fileno)

    def arm(self, reading: Reading) -> None:
        """Let a thread run `reading.step` once the socket has bytes, or has ended."""
        self._epoll.modify(reading.fileno, _ONE_EVENT)

    def submit(self, reading: Reading) -> None:
        """Let a thread run `reading.step` now."""
        self._queue.append(reading)
        os.eventfd_write(self._queued, 1)

    def _run(self) -> None:
        buffer = memoryview(bytearray(BUFFERS // self.most))
        while True:
            found = self._epoll.poll(QUIET if self.memory.has_marks() else IDLE_SECONDS, 1)
            if self.memory.has_marks():
                self.memory.sweep()
            if found:
                if (reading := self._reading(found[0][0])) is not None:
                    reading.step(buffer)
                continue
            with self._lock:
                if not self._open:
                    self._threads -= 1
                    return

    def _reading(self, fileno: int) -> Reading | None:
        if fileno != self._queued:
            return self._open.get(fileno)
        try:
            os.eventfd_read(self._queued)
        except BlockingIOError:  # another thread was quicker
            return None
        return self._queue.popleft()


_readers: Readers | None = None


def readers(most: int = THREADS) -> Readers:
    """The threads of this process, `most` or more. They start when they are needed.

    Raises `OSError`.
    """
    global _readers  # noqa: PLW0603 - one for each process, and none before it is needed
    if _readers is None:
        _readers = Readers()
    _readers.most = max(_readers.most, most)
    return _readers


def _forget() -> None:
    global _readers  # noqa: PLW0603
    _readers = None


# The threads do not survive a fork, and the descriptors would be shared with the parent.
os.register_at_fork(after_in_child=_forget)
