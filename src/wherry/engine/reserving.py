"""The space that this process is reserving, and that the volume does not show yet.

A file system takes its time to reserve a large file, and shows what it has reserved so far. Two
that see the same free space could fill the volume together before one of them fails, and the
catalog, which needs a little of it, could record nothing meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class Reserving:
    def __init__(self) -> None:
        self._lock = Lock()
        self._bytes = 0

    @contextmanager
    def within(self, size: int, free: Callable[[], int | None]) -> Iterator[bool]:
        """Whether `size` bytes may be reserved now, beside what others are reserving.

        `free`: the bytes that can be reserved, as the volume shows them; None where there is no
        volume to fill.
        """
        with self._lock:
            found = free()
            fits = found is None or size <= found - self._bytes
            if fits:
                self._bytes += size
        try:
            yield fits
        finally:
            if fits:
                with self._lock:
                    self._bytes -= size
