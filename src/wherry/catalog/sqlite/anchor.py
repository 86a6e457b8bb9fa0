"""Whether the paths still lead to the database that is open, and to its log.

SQLite works on file descriptors. When its files are renamed, deleted or replaced, it goes on
in files that no process will find after a restart, and reports every commit as successful.

Rule 1: before every query and after every commit, the paths are compared with what they led
to when the database was opened. A commit is acknowledged only if all files are in place.

Rule 2: one connection stays open as long as the catalog does. So SQLite never deletes its log
to create another, and its inodes are not reused for other files.
"""

from __future__ import annotations

import ctypes
import sqlite3
from pathlib import Path

from wherry.core.errors import StorageFailed


class Anchor:
    """Holds the database at `path`, which exists and is in WAL mode."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """`connection` serves no other purpose; `close` closes it."""
        self._connection = connection
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
        paths = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
        self._known = [(path, _identity(path)) for path in paths]

    def check(self) -> None:
        """Raises `StorageFailed` unless every path leads to the file that is open."""
        for path, known in self._known:
            try:
                is_same = _identity(path) == known
            except OSError:
                is_same = False
            if not is_same:
                raise StorageFailed(
                    f"{path.name} is away, or another file is in its place; bring it back"
                )

    def close(self) -> None:
        """Close the connection. The last one that is closed deletes the log, by its path."""
        try:
            self.check()
        except StorageFailed:
            # The log at that path belongs to another database. As long as this connection is
            # open, no other one is the last; so it must not be closed, not even as garbage at
            # the end of the process.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
        else:
            self._connection.close()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
