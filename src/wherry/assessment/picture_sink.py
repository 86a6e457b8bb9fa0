"""Where the pictures of one assessment go while it runs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from wherry.assessment.partial_copy import Interrupted


class PictureSink:
    """Stores pictures until it is closed. Its methods block and may be called on any thread."""

    def __init__(self, put: Callable[[str, bytes], None]) -> None:
        """`put(name, data)` stores one picture."""
        self._put = put
        self._lock = Lock()
        self._is_closed = False

    def store(self, name: str, data: bytes) -> None:
        """Store one picture. Raises `Interrupted` once the sink is closed, and `OSError`."""
        with self._lock:
            if self._is_closed:
                raise Interrupted
            self._put(name, data)

    def close(self) -> None:
        """Store nothing any more; a picture on its way is stored before this returns."""
        with self._lock:
            self._is_closed = True
