"""The volume, and names that must not lead out of it."""

from __future__ import annotations

from wherry.core.errors import DiskFull
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import Storage
from wherry.testing.storage.scene import DATA, new_id, read, refused, reserved, write

#: Bytes below which a volume is taken to be the check's own.
SMALL = 64 * MiB


def no_name_leaves_the_storage(storage: Storage) -> None:
    bad = ("", ".", "..", "a" * 15, "a" * 65, "../" * 8, "a" * 20 + "/", "a" * 20 + "\n", "ä" * 20)
    for name in (*bad, "a" * 20 + "\0"):
        with refused(ValueError):
            storage.delete(name)
        with refused(ValueError):
            storage.unfinished_file(name, 0)
        with refused(ValueError):
            storage.reserve(name, 1)
        with refused(ValueError):
            storage.open(name, Range(0, 1))
        with refused(ValueError):
            storage.finish(name, ".mp4", 1)
    for suffix in ("mp4", "/x", "./..", ".mp4/", ".", ".a b", ".mp4\n"):
        with refused(ValueError):
            storage.finished_file(new_id(), suffix)


def the_volume_has_a_size(storage: Storage) -> None:
    space = storage.space()
    assert 0 <= space.free <= space.total


def checking_again_changes_nothing(storage: Storage) -> None:
    upload_id = reserved(storage)
    write(storage, upload_id, 0, DATA)
    assert all(warning.endswith(".") for warning in storage.check())
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def a_full_volume_says_so_and_keeps_nothing(storage: Storage) -> None:
    space = storage.space()
    if not storage.capabilities.reserves or space.total > SMALL:
        return
    upload_id, too_large = reserved(storage), new_id()
    with refused(DiskFull):
        storage.reserve(too_large, space.total)
    assert [found for found, _ in storage.unfinished()] == [upload_id]
    free = storage.space().free
    large = reserved(storage, free - 16 * KiB)
    assert storage.space().free < free - len(DATA)
    write(storage, upload_id, 0, DATA)
    storage.delete(large)
    assert storage.space().free > free - 16 * KiB
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
