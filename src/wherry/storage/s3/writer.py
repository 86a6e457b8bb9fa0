"""An open range of one upload: gathers bytes until they are a part.

Rule 1: a chunk and a part need not have the same size. A part of at most `LARGEST_RUN` that comes
whole is uploaded as it is, and nothing of it is written twice. What is no whole part at a `sync`
becomes a fragment, and is written again when the fragments are put together: 2.0 bytes written and
1.0 read for each byte at most. Larger parts, which files of more than 156 GiB have, always become
fragments.

Rule 2: all writers of a process share `BUDGET` bytes of memory. A writer that gets no room for a
part sends smaller fragments. It waits only for parts that are on their way to the store, and
not for long: another writer may have a slow client, and the threads are few.

Rule 3: while one part is sent, the next one is gathered.

Rule 4: the memory of a part that was sent is used for the next one, because memory that is new
costs more CPU time than to send it. Of what it has from before, nothing is sent: only what was
gathered since.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Thread
from types import TracebackType
from typing import Self

from wherry.core.digests import crc64
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import Vanished
from wherry.storage.s3.multipart import Multipart
from wherry.storage.s3.parts import Fragment

#: The memory of all writers for whole parts, and the rest for those that get no room for one.
BUDGET, FOR_PARTS = 56 * MiB, 50 * MiB
#: How long a writer waits for the memory of parts that are on their way to the store, in seconds.
WAIT_FOR_SENT = 0.5
#: The most that one writer gathers: with more, one slow client would leave the others no memory for
#: parts. A larger part is put together from fragments.
LARGEST_RUN = 16 * MiB
#: What a writer gathers that gets no room for a part; and when there is no room for that.
SMALL_RUN, SMALLEST_RUN = 512 * KiB, 64 * KiB
#: Buffers from this size on are used again; so many of them are kept.
LARGE_RUN, KEPT = 4 * MiB, 4


class Memory:
    """The bytes that all writers of a process gather."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._taken = 0
        self._sending = 0
        self._free: list[bytearray] = []

    def take(self, wanted: int) -> int:
        """How many bytes may be gathered: `wanted`, or fewer. `give_back` as many."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._taken + wanted <= FOR_PARTS or not self._sending, WAIT_FOR_SENT
            )
            if self._taken + wanted <= FOR_PARTS:
                granted = wanted
            else:
                has_room = self._taken + SMALL_RUN <= BUDGET
                granted = min(wanted, SMALL_RUN if has_room else SMALLEST_RUN)
            self._taken += granted
        return granted

    def give_back(self, size: int, buffer: bytearray | None = None) -> None:
        """`buffer`: may be used again. The caller does not keep it."""
        with self._changed:
            self._taken -= size
            if buffer is not None and len(buffer) >= LARGE_RUN:
                self._free.append(buffer)
                del self._free[:-KEPT]
                self._keep_within_bounds()
            self._changed.notify_all()

    def buffer(self, size: int) -> bytearray:
        """For what was taken. It may have bytes from before."""
        with self._changed:
            found = next((each for each in self._free if len(each) == size), None)
            if found is not None:
                self._free.remove(found)
            self._keep_within_bounds()
        return bytearray(size) if found is None else found

    def _keep_within_bounds(self) -> None:
        free = sum(map(len, self._free))
        while free and free + self._taken > FOR_PARTS:
            free -= len(self._free.pop(0))

    @contextmanager
    def sending(self, run: _Run) -> Iterator[None]:
        """Bytes that are on their way to the store; they are given back at the end."""
        with self._changed:
            self._sending += 1
        try:
            yield
        finally:
            with self._changed:
                self._sending -= 1
            self.give_back(run.capacity, run.let_go())


class _Run:
    """Bytes that follow each other, in one part."""

    def __init__(self, start: int, buffer: bytearray) -> None:
        self.start = start
        self.size = 0
        self.capacity = len(buffer)
        self._buffer = buffer

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def room(self) -> int:
        return self.capacity - self.size

    @property
    def data(self) -> memoryview:
        """What was gathered."""
        return memoryview(self._buffer)[: self.size]

    def add(self, data: memoryview) -> None:
        with memoryview(self._buffer) as view:  # without it, the data is copied twice
            view[self.size : self.size + len(data)] = data
        self.size += len(data)

    def let_go(self) -> bytearray:
        """The memory, for `Memory.give_back`.

        The run itself lives until its writer waits for it, which may be much later.
        """
        buffer = self._buffer
        del self._buffer
        return buffer


class S3Writer:
    """Use it from one thread at a time.

    `check` raises `Vanished` if the upload is gone, and `OSError` if it was begun anew.
    """

    def __init__(
        self, multipart: Multipart, within: Range, memory: Memory, check: Callable[[], None]
    ) -> None:
        self._multipart = multipart
        self._within = within
        self._memory = memory
        self._check = check
        self._run: _Run | None = None
        self._sending: deque[_Sending] = deque()
        #: The parts of which there are fragments, by where they start.
        self._fragmented: dict[int, Range] = {}
        self._has_failed = False

    def write(self, at: int, data: memoryview) -> None:
        """Take all of `data`. Raises `OSError`, `Vanished`, `ValueError` outside the range."""
        if at < self._within.start or at + len(data) > self._within.end:
            raise ValueError(f"{len(data)} bytes at {at} are outside of {self._within}")
        self._check_sound()
        while data:
            run = self._run_at(at)
            size = min(run.room, len(data))
            run.add(data[:size])
            at, data = at + size, data[size:]
            # The last bytes of the range are left to `sync`, which waits for them anyway.
            if not run.room and at < self._within.end:
                self._send_beside()

    def _run_at(self, at: int) -> _Run:
        run = self._run
        if run is not None and run.end == at:
            return run
        if run is not None:  # bytes between the two were there before
            self._send_beside()
        part = self._multipart.part_of(at)
        wanted = min(part.end, self._within.end) - at
        granted = self._memory.take(min(wanted, LARGEST_RUN))
        self._run = _Run(at, self._memory.buffer(granted))
        return self._run

    def _send_beside(self) -> None:
        """Send what was gathered on a thread, when the one before was sent."""
        run, self._run = self._run, None
        if run is None:
            return
        try:
            self._wait()
        except BaseException:
            self._memory.give_back(run.capacity, run.let_go())
            raise
        self._sending.append(_Sending(lambda: self._send(run)))

    def _wait(self) -> None:
        """Wait until nothing is sent any more. Raises what that raised."""
        while self._sending:
            try:
                self._sending.popleft().wait()
            except Vanished:
                self._has_failed = True
                self._check()
                raise
            except BaseException:
                self._has_failed = True
                raise

    def _send(self, run: _Run) -> None:
        """Put what was gathered into the store, as a part or as a fragment."""
        with self._memory.sending(run), run.data as data:
            within, crc = Range(run.start, run.end), crc64(data)
            part = self._multipart.part_of(run.start)
            if within == part:
                self._multipart.put_part(part, data, crc)
            else:
                self._multipart.put_fragment(Fragment(run.start, run.end, crc), data)
                self._fragmented[part.start] = part

    def sync(self) -> None:
        """Return when all that was written is safe. Raises `OSError`, and from then on always."""
        self._check_sound()
        try:
            run, self._run = self._run, None
            if run is not None:
                self._sending.append(_Sending(lambda: self._send(run), is_beside=False))
            self._wait()
            if self._fragmented:
                # A fragment can be put for an upload that is gone, other than a part.
                self._check()
            for part in self._fragmented.values():
                # These bytes are safe. If the rest cannot be done now, completion does it.
                with suppress(OSError):
                    self._multipart.assemble(part, is_last_chance=False)
            self._fragmented.clear()
        except Vanished as error:
            self._has_failed = True
            raise FileNotFoundError(errno.ENOENT, "the upload was removed") from error
        except BaseException:
            self._has_failed = True
            raise

    def _check_sound(self) -> None:
        if self._has_failed:
            raise OSError(errno.EIO, "an earlier request to the store failed; its bytes are lost")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._memory.give_back(run.capacity, run.let_go())
        # Nothing is sent any more when this returns: a newer request may write these bytes then.
        while self._sending:
            with suppress(Exception):
                self._sending.popleft().wait()


class _Sending(Thread):
    """A call on a thread of its own, which the end of the process does not wait for.

    Without `is_beside`, it has been made when this returns.
    """

    def __init__(self, call: Callable[[], None], *, is_beside: bool = True) -> None:
        super().__init__(name="wherry-s3", daemon=True)
        self._call = call
        self._error: BaseException | None = None
        if not is_beside:
            self.run()
            return
        try:
            self.start()
        except RuntimeError:  # no thread can be started
            self.run()

    def run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        if self.ident is not None:
            self.join()
        error, self._error = self._error, None
        if error is not None:
            raise error
