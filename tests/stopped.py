"""Processes that are stopped, as a paused container is, without harm to those that go on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path


def stop(process: subprocess.Popen[bytes], *databases: Path) -> None:
    """Stop a child at a moment when it holds no lock of these SQLite databases.

    `SIGCONT` lets it go on.
    """
    while True:
        process.send_signal(signal.SIGSTOP)
        # The signal may be on its way yet, and the process take a lock until it stops.
        os.waitpid(process.pid, os.WUNTRACED)
        if not any(map(_is_locked, databases)):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)


def _is_locked(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
        try:
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        return False
