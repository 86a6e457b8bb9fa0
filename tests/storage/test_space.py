"""What local storage does with a disk that is small, full, or not what it seems."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from wherry.core.errors import DiskFull
from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.storage import Storage, disk
from wherry.storage.local import LocalStorage

UPLOAD = "u" * 22
DATA = bytes(range(256)) * 64


def write(storage: Storage, at: int, end: int) -> None:
    with storage.open(UPLOAD, Range(at, end)) as writer:
        writer.write(at, memoryview(DATA)[at:end])
        writer.sync()


@pytest.mark.skipif(sys.platform != "linux", reason="a promise on Linux only")
def test_space_is_really_reserved_and_costs_no_writing(local: LocalStorage) -> None:
    assert local.capabilities.reserves
    local.reserve(UPLOAD, 64 * MiB)
    place = (local.root / "temp_chunks" / UPLOAD / "data").stat()
    assert place.st_size == 64 * MiB
    assert place.st_blocks * 512 >= 64 * MiB
    local.finish(UPLOAD, "", 1)
    assert local.finished_file(UPLOAD, "").local_path.stat().st_blocks * 512 < MiB


def cannot(_: int, __: int) -> bool:
    return False


def lies(_: int, __: int) -> bool:
    return True


@pytest.mark.parametrize("allocate", [cannot, lies])
def test_a_volume_that_cannot_reserve_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allocate: Any
) -> None:
    """What is promised is then taken off what is free, until the bytes are there."""
    monkeypatch.setattr(disk, "allocate", allocate)
    storage = LocalStorage(tmp_path / "root")
    [warning] = storage.check()
    assert "reserve" in warning
    assert not storage.capabilities.reserves
    before = storage.space().free
    storage.reserve(UPLOAD, 1 << 40)
    assert (storage.root / "temp_chunks" / UPLOAD / "data").stat().st_size == 1 << 40
    assert storage.space().free <= max(before - (1 << 39), 0)
    write(storage, 0, len(DATA))
    assert storage.finish(UPLOAD, "", len(DATA)).local_path.read_bytes() == DATA


def test_a_full_disk_refuses_a_reservation_and_forgets_it(
    small_volume: Path,
) -> None:
    storage = LocalStorage(small_volume)
    storage.check()
    storage.reserve(UPLOAD, MiB)
    before = storage.space().free
    with pytest.raises(DiskFull):
        storage.reserve("v" * 22, MiB + 1)
    assert [found for found, _ in storage.unfinished()] == [UPLOAD]
    assert storage.space().free == before


def test_a_volume_without_names_left_is_full_too(small_volume: Path) -> None:
    storage = LocalStorage(small_volume)
    storage.check()
    made = []
    with pytest.raises(DiskFull):  # noqa: PT012
        for number in range(20):
            storage.reserve(f"{number:022}", 0)
            made.append(f"{number:022}")
    assert made
    assert sorted(found for found, _ in storage.unfinished()) == made


def test_a_disk_that_fills_up_while_bytes_come_keeps_what_is_safe(
    small_volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "allocate", cannot)
    storage = LocalStorage(small_volume)
    storage.check()
    storage.reserve(UPLOAD, 4 * MiB)
    write(storage, 0, len(DATA))
    with storage.open(UPLOAD, Range(len(DATA), 4 * MiB)) as writer:
        with pytest.raises(OSError, match="No space left") as refused:
            writer.write(len(DATA), memoryview(bytes(3 * MiB)))
        assert refused.value.errno == errno.ENOSPC
    assert storage.head(UPLOAD, len(DATA)) == DATA


def test_a_server_starts_on_a_full_disk(small_volume: Path) -> None:
    storage = LocalStorage(small_volume)
    storage.check()
    storage.reserve(UPLOAD, len(DATA))
    write(storage, 0, len(DATA))
    (small_volume / "filler").write_bytes(bytes(storage.space().free))
    again = LocalStorage(small_volume)
    [*_, warning] = again.check()
    assert "full" in warning
    assert again.finish(UPLOAD, "", len(DATA)).local_path.read_bytes() == DATA
    again.discard(UPLOAD, "")


def test_two_volumes_are_refused_because_a_rename_cannot_cross_them(
    local: LocalStorage, small_volume: Path
) -> None:
    files = local.root / "files"
    files.rmdir()
    files.symlink_to(small_volume)
    with pytest.raises(OSError, match="two volumes"):
        local.check()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.write_text("a file")
    with pytest.raises(OSError, match="root"):
        LocalStorage(root).check()
