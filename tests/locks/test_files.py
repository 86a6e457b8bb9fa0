"""What only locks by files promise: names, forks, death, and a process that is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wherry.locks.files import FileLock, FileLocks
from wherry.storage import disk

NAMES = ["leader", *(["completing/one"] if disk.LOCKS else [])]

HOLDER = """
import sys
from pathlib import Path
from wherry.locks.files import FileLocks
with FileLocks(Path(sys.argv[1])).take(sys.argv[2]):
    print("taken", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_holder(folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the lock until it ends."""
    command = [sys.executable, "-c", HOLDER, str(folder), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_ends_with_its_process_and_not_while_that_is_stopped(
    tmp_path: Path, name: str
) -> None:
    locks = FileLocks(tmp_path)
    with another_holder(tmp_path, name) as process:
        assert locks.take(name) is None
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # until it is stopped
        assert locks.take(name) is None
        process.kill()
        process.wait(60)
        lock = locks.take(name)
    assert lock is not None
    with lock:
        pass


def test_a_lock_does_not_live_on_in_a_forked_child(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    lock = FileLock.take(path)
    assert lock is not None
    assert FileLock.take(path) is None
    assert lock in FileLock._held
    FileLock._forget()  # what a child does, which here is this process
    again = FileLock.take(path)
    assert again is not None
    with again:
        assert FileLock.take(path) is None


def test_a_lock_is_one_file_and_all_items_share_one(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    for name in ("line", "completing/one", "completing/two"):
        lock = locks.take(name)
        assert lock is not None
        with lock:
            pass
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {
        "line.lock": 0,
        "completing.lock": 0,
    }


@pytest.mark.parametrize("name", ["", "..", "../line", "a b", "line/", "/line", "Line"])
def test_a_name_leads_to_no_other_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a lock"):
        FileLocks(tmp_path).take(name)
    assert not list(tmp_path.iterdir())


def test_no_lock_is_taken_while_the_folder_is_away(tmp_path: Path) -> None:
    def check() -> None:
        raise OSError("the data folder is away")

    for name in NAMES:
        with pytest.raises(OSError, match="away"):
            FileLocks(tmp_path, check).take(name)
    assert not list(tmp_path.iterdir())
    lock = FileLocks(tmp_path, check, locks_items=False).take("completing/one")
    assert lock is not None
    with lock:
        assert not list(tmp_path.iterdir())
