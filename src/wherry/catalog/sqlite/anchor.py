"""Whether a path still leads to the database that is open, and to its log.

SQLite works by descriptors. When its files are renamed, deleted or replaced, it goes on in
files that nobody will find after a restart, and says that all is committed.

Rule 1: what the paths led to when the database was opened is looked at again before
every question and after every commit. A commit is acknowledged only if all is in place.

Rule 2: one connection stays open as long as the catalog is. So SQLite never deletes the log
and makes another, and its inodes belong to nobody else.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
from pathlib import Path

from wherry.core.errors import StorageFailed


class Anchor:
    """Holds the database at `path`, which exists and is in WAL mode."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """`connection` is kept for this alone, and closed by `close`."""
        self._connection = connection
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
        paths = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
        self._known = {path: path.stat() for path in paths}

    def check(self) -> None:
        """Raises `StorageFailed` unless every path leads to the file that is open."""
        for path, known in self._known.items():
            try:
                is_same = os.path.samestat(path.stat(), known)
            except OSError:
                is_same = False
            if not is_same:
                raise StorageFailed(
                    f"{path.name} is away, or another file is in its place; bring it back"
                )

    def close(self) -> None:
        """Let go. The last connection to be closed deletes the log, by its path."""
        try:
            self.check()
        except StorageFailed:
            # The log at that path is somebody else's. Never closed, also not as garbage at the
            # end of the process, this connection keeps every other one from being the last.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
        else:
            self._connection.close()
