"""What a thread does with one body: from the socket into its buffer, from there to the sink.

Rule 1: a thread never waits for the client. When the socket is empty, it gives the socket back.

Rule 2: the socket is a descriptor of its own (`dup`). If the connection closes meanwhile, no thread
reads from a descriptor that belongs to another connection by then.

Rule 3: time in which the disk is slow does not count against the client, and neither does time in
which nothing is asked of it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from enum import Enum, auto

from wherry.body import Ended, First, Sink
from wherry.core.limits import MiB
from wherry.lane.readers import Readers
from wherry.lane.socket_memory import FAST
from wherry.protocols.bodies.asgi import PROGRESS

#: A thread turns to the next socket after so many bytes, in bytes.
AT_ONCE = 8 * MiB


class _State(Enum):
    IDLE = auto()
    WAITING = auto()  # for bytes, or for a thread
    RUNNING = auto()  # on a thread


class Reading:
    """One body: `left` bytes from `connection`, after those that were `seen` with the header.

    `begin` and `stop` are for the event loop, `step` for the threads.
    """

    def __init__(
        self, connection: socket.socket, seen: bytes | bytearray, left: int, readers: Readers
    ) -> None:
        self.fileno = connection.fileno()
        #: The bytes that still have to be read from the socket.
        self.left = left
        #: Those before them, which the parser of the header has read.
        self.seen = memoryview(seen)
        self.ended: Ended | None = None
        self._connection = connection
        self._readers = readers
        self._lock = threading.Lock()
        self._state = _State.IDLE
        self._is_stopped = False
        self._first: First | None = None
        self._progress = 0
        self._paused_at = time.monotonic()
        #: The moment since when the client has made less progress than it must.
        self.since = self._paused_at
        self._is_late = False
        readers.memory.narrow(connection, readers.open(self))

    @property
    def remaining(self) -> int:
        return len(self.seen) + self.left if self.ended is None else 0

    def begin(
        self,
        first: First | None,
        sink: Sink,
        limit: int,
        notify: Callable[[BaseException | None], None],
    ) -> None:
        """Call `first`, give the sink the next `limit` bytes, then `notify` this event loop.

        `notify` gets what `first` or the sink raised. It is called once, unless `stop` returns
        True before.
        """
        self._first, self._sink, self._limit, self._notify = first, sink, limit, notify
        self._loop, self._context = asyncio.get_running_loop(), copy_context()
        self._is_stopped = False
        self.since += time.monotonic() - self._paused_at
        with self._lock:
            self._state = _State.WAITING
            if first is not None or self.seen:
                self._readers.submit(self)
            else:
                self._readers.arm(self)

    def stop(self) -> bool:
        """Whether it has stopped. If not, a thread runs, and `notify` is called when it stops."""
        with self._lock:
            if self._state is _State.WAITING:
                self._pause()
            self._is_stopped = True
            return self._state is _State.IDLE

    def is_quiet(self) -> bool:
        """Whether a thread waits for bytes, and there are none."""
        if self._state is not _State.WAITING or self._first is not None or self.seen:
            return False
        try:
            self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False  # bytes, or the end: a thread is about to see it

    def hurry(self) -> None:
        """Take each byte as it comes, until the client makes progress."""
        self._is_late = True
        self._readers.memory.lower(self._connection)

    def close(self) -> None:
        """Leave the socket as it was."""
        self._readers.memory.lower(self._connection)
        self._readers.close(self)
        self._connection.close()

    def step(self, buffer: memoryview) -> None:
        """Read what is there. On a thread, whose buffer it is."""
        with self._lock:
            if self._state is not _State.WAITING:  # stopped since the event
                return
            self._state = _State.RUNNING
        error: BaseException | None = None
        is_over = True
        try:
            is_over = self._context.run(self._read, buffer)
        except BaseException as raised:
            error = raised
        with self._lock:
            if is_over or self._is_stopped:
                self._pause()
            else:
                self._state = _State.WAITING
                self._readers.arm(self)
                return
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._notify, error)

    def _pause(self) -> None:
        self._state = _State.IDLE
        self._paused_at = time.monotonic()
        self._readers.memory.lower(self._connection)

    def _read(self, buffer: memoryview) -> bool:
        """Whether the limit is reached or the body has ended. If not, there is no byte now."""
        if self._first is not None:
            first, self._first = self._first, None
            with self._excused():
                first()
        read, is_fast = 0, False
        while read < AT_ONCE and not self._is_stopped:
            block = buffer[: self._limit]
            size, is_empty = self._fill(block)
            is_fast = is_fast or size >= FAST
            if size:
                self._give(block[:size])
                read += size
            if not self._limit or self.ended is not None:
                return True
            if is_empty:
                if not self._is_late:
                    self._readers.memory.wait(self._connection, self._limit, is_fast=is_fast)
                break
        return False

    def _fill(self, block: memoryview) -> tuple[int, bool]:
        """Fill the block: how many bytes came, and whether the socket is empty."""
        size = min(len(self.seen), len(block))
        block[:size] = self.seen[:size]
        self.seen = self.seen[size:]
        while size < len(block):
            try:
                received = self._connection.recv_into(block[size:])
            except BlockingIOError:
                return size, True
            except OSError:
                received = 0
            if not received:
                self.ended = Ended.CUT
                break
            size += received
            self.left -= received
        if not self.left and not self.seen:
            self.ended = Ended.WHOLE
        return size, False

    def _give(self, data: memoryview) -> None:
        self._limit -= len(data)
        self._progress += len(data)
        if self._progress >= PROGRESS:
            self.since, self._progress, self._is_late = time.monotonic(), 0, False
        with self._excused():
            self._sink(data)

    @contextmanager
    def _excused(self) -> Iterator[None]:
        """Time for which the client cannot be blamed."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.since += time.monotonic() - begun
