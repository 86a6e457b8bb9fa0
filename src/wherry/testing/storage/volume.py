"""The volume, and names that must not lead to files outside the storage."""

from __future__ import annotations

from wherry.core.errors import DiskFull
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import Storage
from wherry.testing.storage.fixtures import DATA, new_id, raises, read, reserve_new, write

#: A volume with fewer bytes than this is taken to be there for the check only.
SMALL = 64 * MiB


def names_cannot_leave_the_storage(storage: Storage) -> None:
    bad = ("", ".", "..", "a" * 15, "a" * 65, "../" * 8, "a" * 20 + "/", "a" * 20 + "\n", "ä" * 20)
    for name in (*bad, "a" * 20 + "\0"):
        with raises(ValueError):
            storage.delete(name)
        with raises(ValueError):
            storage.unfinished_file(name, 0)
        with raises(ValueError):
            storage.reserve(name, 1)
        with raises(ValueError):
            storage.open(name, Range(0, 1))
        with raises(ValueError):
            storage.finish(name, ".mp4", 1)
        with raises(ValueError):
            storage.put(name, ".mp4", ())
        with raises(ValueError):
            storage.reclaim(name)
    for suffix in ("mp4", "/x", "./..", ".mp4/", ".", ".a b", ".mp4\n"):
        with raises(ValueError):
            storage.finished_file(new_id(), suffix)
        with raises(ValueError):
            storage.put(new_id(), suffix, ())


def the_volume_has_a_size(storage: Storage) -> None:
    space = storage.space()
    assert space is None or 0 <= space.free <= space.total


def checking_again_changes_nothing(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    assert all(warning.endswith(".") for warning in storage.check())
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def a_full_volume_raises_disk_full_and_keeps_nothing(storage: Storage) -> None:
    space = storage.space()
    if space is None or not storage.capabilities.reserves or space.total > SMALL:
        return

    def free_now() -> int:
        now = storage.space()
        assert now is not None
        return now.free

    upload_id, too_large = reserve_new(storage), new_id()
    with raises(DiskFull):
        storage.reserve(too_large, space.total)
    assert [found for found, _ in storage.unfinished()] == [upload_id]
    free = free_now()
    large = reserve_new(storage, free - 16 * KiB)
    assert free_now() < free - len(DATA)
    write(storage, upload_id, 0, DATA)
    unput = new_id()
    with raises(DiskFull):
        storage.put(unput, ".mp4", [memoryview(DATA)])
    assert storage.finished_file(unput, ".mp4").stat() is None
    assert {found for found, _ in storage.unfinished()} == {upload_id, large}
    storage.delete(large)
    assert free_now() > free - 16 * KiB
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
