"""What local storage does to a disk: order, locks, ages, modes."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.storage import RangeLocked, Storage, Vanished, disk
from wherry.storage.local import LocalStorage

UPLOAD = "u" * 22
DATA = bytes(range(256)) * 64
HALF = len(DATA) // 2

linux = pytest.mark.skipif(sys.platform != "linux", reason="a promise on Linux only")


def write(storage: Storage, at: int, end: int) -> None:
    with storage.open(UPLOAD, Range(at, end)) as writer:
        writer.write(at, memoryview(DATA)[at:end])
        writer.sync()


def place_of(storage: LocalStorage) -> Path:
    """Where the unfinished bytes lie."""
    return storage.root / "temp_chunks" / UPLOAD / "data"


def folder_of(storage: LocalStorage) -> Path:
    return place_of(storage).parent


# Order.


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is done to the disk, as `call name`, in order."""
    done: list[str] = []

    def spy(where: Any, name: str) -> None:
        real = getattr(where, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            target = args[0]
            if isinstance(target, int):
                target = os.readlink(f"/proc/self/fd/{target}")  # noqa: PTH115
            result = real(*args, **kwargs)
            done.append(f"{name} {Path(target).name}")
            return result

        monkeypatch.setattr(where, name, call)

    for name in (
        "mkdir",
        "pwrite",
        "fsync",
        "fdatasync",
        "ftruncate",
        "rename",
        "link",
        "unlink",
        "rmdir",
    ):
        spy(os, name)
    spy(os, "writev")
    spy(disk, "allocate")
    yield done
    monkeypatch.undo()


@linux
def test_a_reservation_syncs_nothing(local: LocalStorage, calls: list[str]) -> None:
    local.reserve(UPLOAD, len(DATA))
    assert calls == [f"mkdir {UPLOAD}", "allocate data"]


@linux
def test_bytes_and_the_names_they_are_found_by_are_safe_before_sync_returns(
    local: LocalStorage, calls: list[str]
) -> None:
    local.reserve(UPLOAD, len(DATA))
    calls.clear()
    with local.open(UPLOAD, Range(0, HALF)) as writer:
        writer.write(0, memoryview(DATA)[:HALF])
        assert calls == ["pwrite data"]
        writer.sync()
    names = [f"fsync {UPLOAD}", "fsync temp_chunks"]
    assert calls == ["pwrite data", "fdatasync data", *names]
    calls.clear()
    write(local, HALF, len(DATA))
    assert calls == ["pwrite data", "fdatasync data"]
    # Another process cannot know that, and the names must be safe if this one is gone.
    calls.clear()
    write(LocalStorage(local.root), 0, len(DATA))
    assert calls == ["pwrite data", "fdatasync data", *names]


@linux
def test_names_that_could_not_be_synced_are_no_names(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.reserve(UPLOAD, len(DATA))
    real = disk.sync_file

    def fails(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk, "sync_file", fails)
    for _ in range(2):  # it is not taken for done the second time
        with pytest.raises(OSError, match="Input/output"):
            write(local, 0, len(DATA))
    monkeypatch.setattr(disk, "sync_file", real)
    write(local, 0, len(DATA))


@linux
def test_the_names_of_an_upload_that_is_reserved_anew_are_synced_anew(
    local: LocalStorage, calls: list[str]
) -> None:
    for _ in range(2):
        local.reserve(UPLOAD, len(DATA))
        calls.clear()
        write(local, 0, len(DATA))
        assert "fsync temp_chunks" in calls
        local.delete(UPLOAD)


@linux
def test_a_file_is_safe_before_it_is_renamed_and_its_name_before_it_is_answered(
    local: LocalStorage, calls: list[str]
) -> None:
    local.reserve(UPLOAD, len(DATA))
    write(local, 0, len(DATA))
    calls.clear()
    local.finish(UPLOAD, ".mp4", HALF)
    assert calls == [
        "ftruncate data",
        "fsync data",
        "rename data",
        "fsync files",
        f"rmdir {UPLOAD}",
    ]


@linux
def test_a_file_is_safe_before_it_is_linked_and_its_name_before_it_is_recorded(
    local: LocalStorage, calls: list[str]
) -> None:
    local.reserve(UPLOAD, len(DATA))
    write(local, 0, len(DATA))
    calls.clear()
    assert local.link(UPLOAD, ".mp4", HALF)
    assert calls == ["ftruncate data", "fsync data", "link data", "fsync files"]
    final = local.finished_file(UPLOAD, ".mp4").local_path
    assert final.samefile(place_of(local)), "it takes its space twice"
    calls.clear()
    local.delete(UPLOAD)
    assert calls == ["unlink data", f"rmdir {UPLOAD}"]


@linux
def test_what_a_dead_process_only_named_is_made_safe_by_the_next_call(
    local: LocalStorage, calls: list[str]
) -> None:
    local.reserve(UPLOAD, len(DATA))
    for act in (local.link, local.finish, local.finish):
        act(UPLOAD, ".mp4", len(DATA))
        assert calls[-1] == "fsync files" or act == local.finish
        assert "fsync files" in calls
        calls.clear()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_no_link_can_be_made_nothing_changes_and_a_rename_does_it(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    tries = 0

    def refuses(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuses)
    local.reserve(UPLOAD, len(DATA))
    write(local, 0, len(DATA))
    for _ in range(3):
        assert not local.link(UPLOAD, ".mp4", len(DATA))
        assert local.head(UPLOAD, len(DATA)) == DATA
        assert local.finished_file(UPLOAD, ".mp4").stat() is None
    assert tries == 1, "the volume is asked again and again"
    assert local.finish(UPLOAD, ".mp4", len(DATA)).local_path.read_bytes() == DATA


def test_any_other_error_of_a_link_is_raised(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    local.reserve(UPLOAD, len(DATA))
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", fails)
        with pytest.raises(OSError, match="Input/output"):
            local.link(UPLOAD, ".mp4", len(DATA))
    assert local.link(UPLOAD, ".mp4", len(DATA))


@linux
def test_a_file_that_is_put_is_safe_with_both_names_before_it_is_answered(
    local: LocalStorage, calls: list[str]
) -> None:
    with local.put(UPLOAD, ".mp4", [memoryview(DATA)]) as arrival:
        # One commit of the journal has the bytes and both names.
        assert calls == [
            f"writev {UPLOAD}",
            f"link {UPLOAD}",
            f"fdatasync {UPLOAD}",
            "fsync files",
        ]
        arrival.keep()
    assert calls[4:] == [f"unlink {UPLOAD}"]


@linux
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked for it")
@pytest.mark.parametrize("durable", [True, False])
def test_the_disk_begins_to_write_while_bytes_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    begun: list[Range] = []
    monkeypatch.setattr(disk, "start_writing_back", lambda _, written: begun.append(written))
    storage = LocalStorage(tmp_path, durable)
    storage.check()
    storage.reserve(UPLOAD, 3 * MiB)
    with storage.open(UPLOAD, Range(MiB, 3 * MiB)) as writer:
        for at in range(MiB, 3 * MiB - 1, MiB // 2):
            writer.write(at, memoryview(bytes(MiB // 2)))
        writer.sync()
    assert begun == ([Range(MiB, 2 * MiB), Range(2 * MiB, 3 * MiB)] if durable else [])


def test_nothing_is_synced_when_the_operator_chose_so(tmp_path: Path, calls: list[str]) -> None:
    storage = LocalStorage(tmp_path / "root", durable=False)
    storage.check()
    storage.reserve(UPLOAD, len(DATA))
    write(storage, 0, len(DATA))
    storage.delete(UPLOAD)
    storage.put("p" * 22, ".mp4", [memoryview(DATA)]).close()
    assert not storage.capabilities.durable
    assert [call for call in calls if "sync" in call] == []


def test_finishing_copies_no_byte(local: LocalStorage) -> None:
    local.reserve(UPLOAD, len(DATA))
    write(local, 0, len(DATA))
    before = place_of(local).stat()
    after = local.finish(UPLOAD, ".mp4", len(DATA)).local_path.stat()
    assert (after.st_ino, after.st_dev) == (before.st_ino, before.st_dev)


# Writing.


def test_a_short_write_is_gone_on_with(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.reserve(UPLOAD, len(DATA))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:1000], at))
    write(local, 0, len(DATA))
    assert local.finish(UPLOAD, "", len(DATA)).local_path.read_bytes() == DATA


def test_a_failed_sync_is_never_repeated_on_the_same_descriptor(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has marked the lost pages clean: a second sync would succeed and lie."""
    local.reserve(UPLOAD, len(DATA))
    syncs = 0

    def fail(_: int) -> None:
        nonlocal syncs
        syncs += 1
        raise OSError(errno.EIO, "Input/output error")

    with local.open(UPLOAD, Range(0, HALF)) as writer:
        writer.write(0, memoryview(DATA)[:HALF])
        with monkeypatch.context() as patch:
            patch.setattr(disk, "sync_data", fail)
            with pytest.raises(OSError, match="Input/output"):
                writer.sync()
        for again in (writer.sync, lambda: writer.write(0, memoryview(DATA)[:HALF])):
            with pytest.raises(OSError, match="earlier sync failed"):
                again()
    assert syncs == 1
    write(local, 0, len(DATA))
    assert local.finish(UPLOAD, "", len(DATA)).local_path.read_bytes() == DATA


def test_a_folder_removed_by_hand_is_noticed_before_its_bytes_are_called_safe(
    local: LocalStorage,
) -> None:
    local.reserve(UPLOAD, len(DATA))
    with local.open(UPLOAD, Range(0, HALF)) as writer:
        writer.write(0, memoryview(DATA)[:HALF])
        shutil.rmtree(folder_of(local))
        with pytest.raises(FileNotFoundError):
            writer.sync()
    with pytest.raises(Vanished):
        local.open(UPLOAD, Range(0, HALF))


def test_a_folder_without_its_data_has_vanished(local: LocalStorage) -> None:
    local.reserve(UPLOAD, len(DATA))
    place_of(local).unlink()
    with pytest.raises(Vanished):
        local.open(UPLOAD, Range(0, HALF))
    with pytest.raises(Vanished):
        local.finish(UPLOAD, "", len(DATA))


# Locks.

HOLD = """
import sys
from pathlib import Path
from wherry.core.ranges import Range
from wherry.storage.local import LocalStorage
with LocalStorage(Path(sys.argv[1])).open(sys.argv[2], Range(100, 200)):
    print("locked", flush=True)
    sys.stdin.read()
"""


@linux
def test_a_range_is_locked_against_other_processes_until_death(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "root")
    storage.check()
    assert storage.capabilities.locks_ranges
    storage.reserve(UPLOAD, len(DATA))
    command = [sys.executable, "-c", HOLD, str(tmp_path / "root"), UPLOAD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(RangeLocked):
                storage.open(UPLOAD, Range(150, 300))
            with storage.open(UPLOAD, Range(200, 300)):
                pass
        finally:
            other.kill()
            other.wait()
    with storage.open(UPLOAD, Range(150, 300)):
        pass


# Ages.


def test_a_folder_is_touched_as_bytes_arrive_and_when_they_are_safe(local: LocalStorage) -> None:
    """`find temp_chunks -type d -mtime +1` must find no upload that is active."""
    local.reserve(UPLOAD, len(DATA))
    os.utime(folder_of(local), (1000, 1000))
    assert dict(local.unfinished()) == {UPLOAD: 1000}
    with local.open(UPLOAD, Range(0, len(DATA))) as writer:
        writer.write(0, memoryview(DATA)[:100])
        assert dict(local.unfinished())[UPLOAD] > 1000
        os.utime(folder_of(local), (1000, 1000))
        writer.sync()
        assert dict(local.unfinished())[UPLOAD] > 1000


def test_a_writer_that_never_syncs_touches_its_folder_too(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.reserve(UPLOAD, len(DATA))
    monkeypatch.setattr("wherry.storage.writer.TOUCH_EVERY", -1.0)
    with local.open(UPLOAD, Range(0, len(DATA))) as writer:
        for at in range(2):
            os.utime(folder_of(local), (1000, 1000))
            writer.write(at, memoryview(DATA)[:1])
            assert dict(local.unfinished())[UPLOAD] > 1000


def test_uploads_begin_again_after_an_operator_removed_temp_chunks(local: LocalStorage) -> None:
    shutil.rmtree(folder_of(local).parent)
    assert list(local.unfinished()) == []
    local.delete(UPLOAD)
    local.reserve(UPLOAD, len(DATA))
    write(local, 0, len(DATA))
    assert local.finish(UPLOAD, "", len(DATA)).local_path.read_bytes() == DATA


def test_what_others_put_into_temp_chunks_is_left_alone(local: LocalStorage) -> None:
    temp_chunks = folder_of(local).parent
    (temp_chunks / "lost+found").mkdir()
    (temp_chunks / f"{'f' * 22}.txt").write_text("a file")
    (temp_chunks / ("l" * 22)).symlink_to(temp_chunks)
    local.reserve(UPLOAD, 1)
    assert [found for found, _ in local.unfinished()] == [UPLOAD]


# Who may look.


def test_nobody_else_can_read_anything(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        storage = LocalStorage(tmp_path / "deep" / "root")
        storage.check()
        storage.reserve(UPLOAD, len(DATA))
        other = "o" * 22
        storage.reserve(other, 1)
        storage.finish(other, ".mp4", 1)
    finally:
        os.umask(mask)
    seen = list((tmp_path / "deep").rglob("*"))
    assert len(seen) == 6
    for path in seen:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("name", ["data", "folder"])
def test_a_symbolic_link_is_never_followed(local: LocalStorage, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    victim = elsewhere / "data"
    victim.write_bytes(b"not ours")
    local.reserve(UPLOAD, 8)
    shutil.rmtree(folder_of(local))
    if name == "data":
        folder_of(local).mkdir()
        place_of(local).symlink_to(victim)
    else:
        folder_of(local).symlink_to(elsewhere)
    for act in (
        lambda: local.open(UPLOAD, Range(0, 8)),
        lambda: local.head(UPLOAD, 8),
        lambda: local.reserve(UPLOAD, 8),
        lambda: local.finish(UPLOAD, ".mp4", 4),
    ):
        with pytest.raises(OSError, match=r"symbolic|directory"):
            act()
        assert victim.read_bytes() == b"not ours"
    assert not local.finished_file(UPLOAD, ".mp4").local_path.exists()


def test_a_symbolic_link_in_the_place_of_a_finished_file_is_replaced(
    local: LocalStorage, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"not ours")
    local.finished_file(UPLOAD, ".mp4").local_path.symlink_to(victim)
    with pytest.raises(Vanished):
        local.finish(UPLOAD, ".mp4", 8)
    local.reserve(UPLOAD, len(DATA))
    write(local, 0, len(DATA))
    path = local.finish(UPLOAD, ".mp4", len(DATA)).local_path
    assert not path.is_symlink()
    assert path.read_bytes() == DATA
    assert victim.read_bytes() == b"not ours"
