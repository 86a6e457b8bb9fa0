"""Stop local storage at every system call that changes something, and start again.

A call is stopped before it takes effect and, in another run, after. What comes
after a crash has no effect either, as after `kill -9`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from wherry.core.errors import DiskFull
from wherry.core.ranges import Range
from wherry.storage import Storage, Vanished, disk
from wherry.storage.local import LocalStorage
from wherry.testing.faults import CrashPoint, crash_points

UPLOAD = "u" * 22
DATA = bytes(range(256)) * 64
HALF = len(DATA) // 2

#: Everything by which storage changes a disk.
CALLS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("open", "mkdir", "fsync", "fdatasync", "ftruncate", "pwrite")),
    *((os, name) for name in ("rename", "unlink", "rmdir", "utime", "writev", "link")),
    (disk, "allocate"),
)

Guard = Callable[[Callable[..., Any]], Callable[..., Any]]
Act = Callable[[LocalStorage], object]


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    patches = [patch.object(where, name, guard(getattr(where, name))) for where, name in CALLS]
    for patched in patches:
        patched.start()
    try:
        yield
    finally:
        for patched in patches:
            patched.stop()


def crashed_runs(
    tmp_path: Path, before: Act, act: Act, at_least: int
) -> Iterator[tuple[CrashPoint, LocalStorage]]:
    """Storages after `before`, then `act` stopped at each point in turn, then a restart."""
    points = 0
    for point in crash_points():
        root = tmp_path / str(point.at)
        storage = LocalStorage(root)
        storage.check()
        before(storage)
        with point, guarded(point.guard):
            act(storage)
        again = LocalStorage(root)
        again.check()
        yield point, again
        points += 1
    assert points >= at_least


def nothing(_: Storage) -> None: ...


def reserve(storage: Storage) -> None:
    storage.reserve(UPLOAD, len(DATA))


def write(storage: Storage, at: int, end: int) -> None:
    with storage.open(UPLOAD, Range(at, end)) as writer:
        writer.write(at, memoryview(DATA)[at:end])
        writer.sync()


def write_all(storage: Storage) -> None:
    reserve(storage)
    write(storage, 0, len(DATA))


def finish(storage: LocalStorage) -> Path:
    return storage.finish(UPLOAD, ".mp4", len(DATA)).local_path


def finish_all(storage: LocalStorage) -> None:
    write_all(storage)
    finish(storage)


def left(storage: LocalStorage) -> list[str]:
    return sorted(path.name for path in (storage.root / "temp_chunks").iterdir())


def place_of(storage: LocalStorage) -> Path:
    return storage.root / "temp_chunks" / UPLOAD / "data"


def test_a_place_is_reserved_after_a_crash_at_any_call(tmp_path: Path) -> None:
    for point, storage in crashed_runs(tmp_path, nothing, reserve, at_least=8):
        assert left(storage) in ([], [UPLOAD])
        assert [found for found, _ in storage.unfinished()] == left(storage), "not swept"
        reserve(storage)
        place = place_of(storage).stat()
        assert place.st_size == len(DATA)
        assert place.st_blocks * 512 >= len(DATA), f"not really reserved at {point}"
        write(storage, 0, len(DATA))
        assert finish(storage).read_bytes() == DATA, f"at {point}"


def test_what_is_left_of_a_crashed_reservation_can_be_deleted(tmp_path: Path) -> None:
    for point, storage in crashed_runs(tmp_path, nothing, reserve, at_least=8):
        storage.delete(UPLOAD)
        assert left(storage) == [], f"at {point}"


def test_no_synced_byte_changes_when_another_write_crashes(tmp_path: Path) -> None:
    def before(storage: Storage) -> None:
        reserve(storage)
        write(storage, 0, HALF)

    def act(storage: Storage) -> None:
        write(storage, HALF, len(DATA))

    for point, storage in crashed_runs(tmp_path, before, act, at_least=10):
        assert storage.head(UPLOAD, HALF) == DATA[:HALF], f"at {point}"
        act(storage)
        assert finish(storage).read_bytes() == DATA, f"at {point}"


def test_a_reservation_repeated_over_bytes_changes_none(tmp_path: Path) -> None:
    for point, storage in crashed_runs(tmp_path, write_all, reserve, at_least=8):
        assert finish(storage).read_bytes() == DATA, f"at {point}"


def test_a_file_is_finished_after_a_crash_at_any_call(tmp_path: Path) -> None:
    for point, storage in crashed_runs(tmp_path, write_all, finish, at_least=14):
        old, new = place_of(storage), storage.finished_file(UPLOAD, ".mp4").local_path
        assert old.exists() != new.exists(), f"neither or both at {point}"
        assert (old if old.exists() else new).read_bytes() == DATA, f"at {point}"
        assert finish(storage) == new
        assert new.read_bytes() == DATA
        assert left(storage) == [], f"at {point}"


def test_a_linked_file_is_finished_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def act(storage: LocalStorage) -> None:
        assert storage.link(UPLOAD, ".mp4", HALF)

    for point, storage in crashed_runs(tmp_path, write_all, act, at_least=8):
        assert storage.head(UPLOAD, HALF) == DATA[:HALF], f"the unfinished bytes go at {point}"
        file = storage.finished_file(UPLOAD, ".mp4")
        assert file.stat() is None or file.local_path.read_bytes() == DATA[:HALF], f"at {point}"
        act(storage)
        storage.delete(UPLOAD)
        assert file.local_path.read_bytes() == DATA[:HALF]
        assert left(storage) == [], f"at {point}"


def test_an_error_while_linking_loses_nothing(tmp_path: Path) -> None:
    def act(storage: LocalStorage) -> None:
        assert storage.link(UPLOAD, ".mp4", len(DATA))

    for storage, _ in failing_runs(tmp_path, errno.EIO, write_all, act):
        act(storage)
        assert finish(storage).read_bytes() == DATA
        assert left(storage) == []


def test_a_longer_place_is_cut_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def act(storage: Storage) -> None:
        storage.finish(UPLOAD, ".mp4", HALF)

    for point, storage in crashed_runs(tmp_path, write_all, act, at_least=16):
        path = storage.finish(UPLOAD, ".mp4", HALF).local_path
        assert path.read_bytes() == DATA[:HALF], f"at {point}"


def test_bytes_are_deleted_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def act(storage: Storage) -> None:
        storage.delete(UPLOAD)

    for point, storage in crashed_runs(tmp_path, write_all, act, at_least=6):
        try:
            head = storage.head(UPLOAD, len(DATA))
        except Vanished:
            head = DATA
        assert head == DATA, f"half a file at {point}"
        act(storage)
        assert left(storage) == [], f"at {point}"


def test_a_finished_file_is_discarded_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def act(storage: Storage) -> None:
        storage.discard(UPLOAD, ".mp4")

    for point, storage in crashed_runs(tmp_path, finish_all, act, at_least=4):
        act(storage)
        assert not storage.finished_file(UPLOAD, ".mp4").local_path.exists(), f"at {point}"


PIECES = (memoryview(DATA)[:HALF], memoryview(DATA)[HALF:])


def put(storage: LocalStorage) -> None:
    with storage.put(UPLOAD, ".mp4", PIECES) as arrival:
        arrival.keep()


def settle(storage: LocalStorage, *, is_recorded: bool) -> None:
    """What the next process does with what a crash left."""
    if (found := storage.reclaim(UPLOAD)) is not None:
        with found:
            if is_recorded:
                found.keep()
            else:
                found.drop()


def test_a_file_that_is_put_is_whole_or_found_after_a_crash_at_any_call(tmp_path: Path) -> None:
    for point, storage in crashed_runs(tmp_path, nothing, put, at_least=13):
        final = storage.finished_file(UPLOAD, ".mp4").local_path
        assert left(storage) == [UPLOAD] or not final.exists() or final.read_bytes() == DATA
        # Where the first name is gone, `keep` had begun, so the record is there.
        is_kept = final.exists() and left(storage) == []
        settle(storage, is_recorded=False)
        assert left(storage) == [], f"at {point}"
        assert final.exists() == is_kept, f"at {point}"
        if not is_kept:
            put(storage)
        assert final.read_bytes() == DATA


def test_a_recorded_file_stays_whole_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def before(storage: LocalStorage) -> None:
        storage.put(UPLOAD, ".mp4", PIECES).close()

    def act(storage: LocalStorage) -> None:
        settle(storage, is_recorded=True)

    for point, storage in crashed_runs(tmp_path, before, act, at_least=4):
        act(storage)
        assert storage.finished_file(UPLOAD, ".mp4").local_path.read_bytes() == DATA, f"at {point}"
        assert left(storage) == []


def test_a_file_is_dropped_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def before(storage: LocalStorage) -> None:
        storage.put(UPLOAD, ".mp4", PIECES).close()

    def act(storage: LocalStorage) -> None:
        settle(storage, is_recorded=False)

    for point, storage in crashed_runs(tmp_path, before, act, at_least=8):
        act(storage)
        assert not storage.finished_file(UPLOAD, ".mp4").local_path.exists(), f"at {point}"
        assert left(storage) == []


def test_the_file_that_hooks_see_is_whole_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def act(storage: LocalStorage) -> None:
        storage.unfinished_file(UPLOAD, HALF)

    for point, storage in crashed_runs(tmp_path, write_all, act, at_least=4):
        file = storage.unfinished_file(UPLOAD, HALF)
        assert file.local_path.read_bytes() == DATA[:HALF], f"at {point}"
        path = storage.finish(UPLOAD, ".mp4", HALF).local_path
        assert path.read_bytes() == DATA[:HALF], f"at {point}"


def test_a_picture_is_the_old_or_the_new_one_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def put_old(storage: LocalStorage) -> None:
        storage.pictures.put("a1", "poster.jpg", DATA[:HALF])

    def put_new(storage: LocalStorage) -> None:
        storage.pictures.put("a1", "poster.jpg", DATA)

    for point, storage in crashed_runs(tmp_path, put_old, put_new, at_least=10):
        path = storage.pictures.get("a1", "poster.jpg").local_path
        assert path.read_bytes() in (DATA[:HALF], DATA), f"half a picture at {point}"
        put_new(storage)
        assert path.read_bytes() == DATA
        storage.pictures.delete("a1")
        assert not path.parent.exists(), f"something is left at {point}"


def test_the_folders_are_made_after_a_crash_at_any_call(tmp_path: Path) -> None:
    for point in crash_points():
        root = tmp_path / str(point.at) / "deep"
        with point, guarded(point.guard):
            LocalStorage(root).check()
        storage = LocalStorage(root)
        storage.check()
        write_all(storage)
        assert finish(storage).read_bytes() == DATA, f"at {point}"


class FailsOnce:
    """The call number `at` gives an error instead of doing anything; the process lives on."""

    def __init__(self, at: int, error: int) -> None:
        self.at = at
        self.error = error
        self.calls = 0
        self.failed = ""

    def guard(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.at + 1:
                self.failed = function.__name__
                raise OSError(self.error, os.strerror(self.error))
            return function(*args, **kwargs)

        return call


def failing_runs(
    tmp_path: Path, error: int, before: Act, act: Act, harmless: tuple[str, ...] = ()
) -> Iterator[tuple[LocalStorage, OSError | DiskFull]]:
    """Storages after `before`, then `act` with an error in each call in turn.

    `harmless`: calls whose errors `act` need not tell.
    """
    for at in range(100):
        storage = LocalStorage(tmp_path / str(at))
        storage.check()
        before(storage)
        fault = FailsOnce(at, error)
        with guarded(fault.guard):
            try:
                act(storage)
            except (OSError, DiskFull) as raised:
                yield storage, raised
                continue
        # A folder that is there already needs no making, whatever the error.
        assert fault.failed in ("", "mkdir", *harmless), f"the error in call {at} was swallowed"
        if not fault.failed:
            assert at > 1
            return


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failed_reservation_leaves_nothing_behind(tmp_path: Path, error: int) -> None:
    for storage, raised in failing_runs(tmp_path, error, nothing, reserve):
        assert isinstance(raised, DiskFull if error == errno.ENOSPC else OSError)
        assert left(storage) == []
        write_all(storage)
        assert finish(storage).read_bytes() == DATA


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_failed_reservation_over_bytes_keeps_them(tmp_path: Path, error: int) -> None:
    for storage, _ in failing_runs(tmp_path, error, write_all, reserve):
        assert finish(storage).read_bytes() == DATA


def test_an_error_while_finishing_loses_nothing(tmp_path: Path) -> None:
    # A folder that stays is swept later.
    runs = failing_runs(
        tmp_path, errno.EIO, write_all, finish, harmless=("open", "unlink", "rmdir")
    )
    for storage, _ in runs:
        assert finish(storage).read_bytes() == DATA
        assert left(storage) == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_file_that_cannot_be_put_leaves_nothing_behind(tmp_path: Path, error: int) -> None:
    def act(storage: LocalStorage) -> None:
        storage.put(UPLOAD, ".mp4", PIECES).close()

    for storage, raised in failing_runs(tmp_path, error, nothing, act):
        assert isinstance(raised, DiskFull if error == errno.ENOSPC else OSError)
        assert left(storage) == []
        assert not storage.finished_file(UPLOAD, ".mp4").local_path.exists()
        put(storage)
        assert storage.finished_file(UPLOAD, ".mp4").local_path.read_bytes() == DATA
        assert left(storage) == []


def test_an_error_while_writing_is_never_silent(tmp_path: Path) -> None:
    def act(storage: Storage) -> None:
        write(storage, HALF, len(DATA))

    def before(storage: Storage) -> None:
        reserve(storage)
        write(storage, 0, HALF)

    for storage, _ in failing_runs(tmp_path, errno.EIO, before, act):
        act(storage)
        assert finish(storage).read_bytes() == DATA


def test_an_error_while_deleting_is_never_silent(tmp_path: Path) -> None:
    def act(storage: Storage) -> None:
        storage.delete(UPLOAD)

    for storage, _ in failing_runs(tmp_path, errno.EIO, write_all, act):
        act(storage)
        assert left(storage) == []
