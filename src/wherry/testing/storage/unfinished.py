"""Unfinished bytes: reserved, written, read before the upload is finished, deleted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from wherry.core.ranges import Range
from wherry.storage import HEAD_SIZE, RangeLocked, Storage, Vanished
from wherry.testing.storage.fixtures import (
    DATA,
    HALF,
    new_id,
    raises,
    read,
    reserve_new,
    size,
    write,
)


def a_finished_file_has_the_written_bytes(storage: Storage) -> None:
    """Whatever the order and the sizes in which they were written."""
    upload_id = reserve_new(storage)
    write(storage, upload_id, HALF, DATA[HALF:])
    with storage.open(upload_id, Range(0, HALF)) as writer:
        for at in range(0, HALF, 1000):
            writer.write(at, memoryview(DATA)[at : min(at + 1000, HALF)])
        writer.sync()
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
    assert read(storage.finished_file(upload_id, ".mp4")) == DATA


def many_threads_can_write_at_once(storage: Storage) -> None:
    upload_id = reserve_new(storage, suffix="")
    step = len(DATA) // 16
    with ThreadPoolExecutor(4) as threads:
        for result in [
            threads.submit(write, storage, upload_id, at, DATA[at : at + step])
            for at in range(0, len(DATA), step)
        ]:
            result.result()
    assert read(storage.finish(upload_id, "", len(DATA))) == DATA


def an_unfinished_file_can_be_read(storage: Storage) -> None:
    upload_id = reserve_new(storage, 2 * len(DATA))
    write(storage, upload_id, 0, DATA)
    for _ in range(2):
        file = storage.unfinished_file(upload_id, len(DATA))
        assert size(file) == len(DATA)
        assert read(file) == DATA
    assert [found for found, _ in storage.unfinished()] == [upload_id]
    if storage.parts is None:
        assert storage.finished_file(upload_id, ".mp4").stat() is None
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def an_unfinished_file_can_be_read_while_bytes_are_to_come(storage: Storage) -> None:
    if storage.parts is not None:
        return
    upload_id = reserve_new(storage)
    write(storage, upload_id, HALF, DATA[HALF:])
    file = storage.unfinished_file(upload_id, len(DATA))
    assert size(file) == len(DATA)
    assert b"".join(file.read(Range(HALF, len(DATA)))) == DATA[HALF:]
    write(storage, upload_id, 0, DATA[:HALF])
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def an_unfinished_file_needs_all_its_bytes(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    with raises(OSError):
        storage.unfinished_file(upload_id, len(DATA) + 1)
    with raises(Vanished):
        storage.unfinished_file(new_id(), 0)


def reserving_again_keeps_the_bytes(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    storage.reserve(upload_id, len(DATA))
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def an_unknown_upload_has_vanished(storage: Storage) -> None:
    upload_id = new_id()
    with raises(Vanished):
        storage.open(upload_id, Range(0, 1))
    with raises(Vanished):
        storage.head(upload_id, 1)
    with raises(Vanished):
        storage.finish(upload_id, ".mp4", 0)
    there, finished = reserve_new(storage), reserve_new(storage)
    storage.finish(finished, ".mp4", 0)
    assert storage.vanished([upload_id, there, finished]) == {upload_id, finished}


def the_head_is_the_first_bytes(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA[:HALF])
    assert storage.head(upload_id, 100) == DATA[:100]
    head = storage.head(upload_id, 2 * len(DATA))[:HALF]
    assert head == DATA[: len(head)]
    assert len(head) >= HEAD_SIZE


def a_range_has_one_writer(storage: Storage) -> None:
    if not storage.capabilities.locks_ranges:
        return
    upload_id = reserve_new(storage)
    with storage.open(upload_id, Range(100, 200)):
        for overlapping in (Range(0, 101), Range(199, 300), Range(120, 130), Range(0, 300)):
            with raises(RangeLocked):
                storage.open(upload_id, overlapping)
        with storage.open(upload_id, Range(0, 100)), storage.open(upload_id, Range(200, 300)):
            pass
    with storage.open(upload_id, Range(100, 200)):
        pass


def a_writer_stays_in_its_range(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    with storage.open(upload_id, Range(100, 200)) as writer:
        for at, size in ((99, 1), (200, 1), (150, 51), (0, 300)):
            with raises(ValueError):
                writer.write(at, memoryview(DATA)[:size])
        writer.write(100, memoryview(DATA)[:100])
        writer.sync()


def deleting_removes_all_unfinished_bytes(storage: Storage) -> None:
    upload_id, other = reserve_new(storage), reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    write(storage, other, 0, DATA)
    for _ in range(2):
        storage.delete(upload_id)
        with raises(Vanished):
            storage.unfinished_file(upload_id, 0)
        assert [found for found, _ in storage.unfinished()] == [other]
    with raises(Vanished):
        storage.open(upload_id, Range(0, 1))
    assert read(storage.finish(other, ".mp4", len(DATA))) == DATA


def a_deleted_upload_cannot_be_synced(storage: Storage) -> None:
    """Otherwise bytes that are lost would be recorded as safe."""
    upload_id = reserve_new(storage)
    with storage.open(upload_id, Range(0, 100)) as writer:
        writer.write(0, memoryview(DATA)[:100])
        storage.delete(upload_id)
        with raises(OSError):
            writer.sync()


def unfinished_uploads_are_listed_with_their_last_change(storage: Storage) -> None:
    assert list(storage.unfinished()) == []
    before = time.time() - 2.0  # File systems keep times coarsely.
    upload_id, other = reserve_new(storage, suffix=""), reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    found = dict(storage.unfinished())
    assert found.keys() == {upload_id, other}
    assert all(before <= changed <= time.time() + 2.0 for changed in found.values())
    storage.finish(upload_id, "", len(DATA))
    storage.delete(other)
    assert list(storage.unfinished()) == []
