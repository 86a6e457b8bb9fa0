"""Bytes on their way: reserved, written, shown before they are finished, deleted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from wherry.core.ranges import Range
from wherry.storage import RangeLocked, Storage, Vanished
from wherry.testing.storage.scene import DATA, HALF, new_id, read, refused, reserved, size, write


def what_was_written_is_what_is_finished(storage: Storage) -> None:
    """In any order, in pieces of any size."""
    upload_id = reserved(storage)
    write(storage, upload_id, HALF, DATA[HALF:])
    with storage.open(upload_id, Range(0, HALF)) as writer:
        for at in range(0, HALF, 1000):
            writer.write(at, memoryview(DATA)[at : min(at + 1000, HALF)])
        writer.sync()
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
    assert read(storage.finished_file(upload_id, ".mp4")) == DATA


def many_threads_write_at_once(storage: Storage) -> None:
    upload_id = reserved(storage)
    step = len(DATA) // 16
    with ThreadPoolExecutor(4) as threads:
        for result in [
            threads.submit(write, storage, upload_id, at, DATA[at : at + step])
            for at in range(0, len(DATA), step)
        ]:
            result.result()
    assert read(storage.finish(upload_id, "", len(DATA))) == DATA


def all_bytes_can_be_read_before_they_are_finished(storage: Storage) -> None:
    upload_id = reserved(storage, 2 * len(DATA))
    write(storage, upload_id, 0, DATA)
    for _ in range(2):
        file = storage.unfinished_file(upload_id, len(DATA))
        assert size(file) == len(DATA)
        assert read(file) == DATA
    assert [found for found, _ in storage.unfinished()] == [upload_id]
    assert storage.finished_file(upload_id, ".mp4").stat() is None
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def what_is_missing_is_not_shown_as_a_file(storage: Storage) -> None:
    upload_id = reserved(storage)
    with refused(OSError):
        storage.unfinished_file(upload_id, len(DATA) + 1)
    with refused(Vanished):
        storage.unfinished_file(new_id(), 0)


def reserving_again_keeps_what_is_there(storage: Storage) -> None:
    upload_id = reserved(storage)
    write(storage, upload_id, 0, DATA)
    storage.reserve(upload_id, len(DATA))
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def what_was_never_there_has_vanished(storage: Storage) -> None:
    upload_id = new_id()
    with refused(Vanished):
        storage.open(upload_id, Range(0, 1))
    with refused(Vanished):
        storage.head(upload_id, 1)
    with refused(Vanished):
        storage.finish(upload_id, ".mp4", 0)


def the_head_is_the_beginning(storage: Storage) -> None:
    upload_id = reserved(storage)
    write(storage, upload_id, 0, DATA[:HALF])
    assert storage.head(upload_id, 100) == DATA[:100]
    assert storage.head(upload_id, 2 * len(DATA))[:HALF] == DATA[:HALF]


def a_range_has_one_writer(storage: Storage) -> None:
    if not storage.capabilities.locks_ranges:
        return
    upload_id = reserved(storage)
    with storage.open(upload_id, Range(100, 200)):
        for overlapping in (Range(0, 101), Range(199, 300), Range(120, 130), Range(0, 300)):
            with refused(RangeLocked):
                storage.open(upload_id, overlapping)
        with storage.open(upload_id, Range(0, 100)), storage.open(upload_id, Range(200, 300)):
            pass
    with storage.open(upload_id, Range(100, 200)):
        pass


def a_writer_stays_in_its_range(storage: Storage) -> None:
    upload_id = reserved(storage)
    with storage.open(upload_id, Range(100, 200)) as writer:
        for at, size in ((99, 1), (200, 1), (150, 51), (0, 300)):
            with refused(ValueError):
                writer.write(at, memoryview(DATA)[:size])
        writer.write(100, memoryview(DATA)[:100])
        writer.sync()


def deleting_removes_everything(storage: Storage) -> None:
    upload_id, other = reserved(storage), reserved(storage)
    write(storage, upload_id, 0, DATA)
    write(storage, other, 0, DATA)
    for _ in range(2):
        storage.delete(upload_id)
        with refused(Vanished):
            storage.unfinished_file(upload_id, 0)
        assert [found for found, _ in storage.unfinished()] == [other]
    with refused(Vanished):
        storage.open(upload_id, Range(0, 1))
    assert read(storage.finish(other, ".mp4", len(DATA))) == DATA


def a_deleted_upload_cannot_be_synced(storage: Storage) -> None:
    """Bytes that went nowhere must not be called safe."""
    upload_id = reserved(storage)
    with storage.open(upload_id, Range(0, 100)) as writer:
        writer.write(0, memoryview(DATA)[:100])
        storage.delete(upload_id)
        with refused(OSError):
            writer.sync()


def the_unfinished_are_listed_with_their_last_change(storage: Storage) -> None:
    assert list(storage.unfinished()) == []
    before = time.time() - 2.0  # File systems keep times coarsely.
    upload_id, other = reserved(storage), reserved(storage)
    write(storage, upload_id, 0, DATA)
    found = dict(storage.unfinished())
    assert found.keys() == {upload_id, other}
    assert all(before <= changed <= time.time() + 2.0 for changed in found.values())
    storage.finish(upload_id, "", len(DATA))
    storage.delete(other)
    assert list(storage.unfinished()) == []
