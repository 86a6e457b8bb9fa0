"""Files that are put at once: kept when their record is safe, dropped when there is none."""

from __future__ import annotations

import time

from wherry.storage import CannotPut, RangeLocked, Storage
from wherry.testing.storage.fixtures import (
    DATA,
    HALF,
    new_id,
    raises,
    read,
    reserve_new,
    write,
)

#: As a request may bring it.
PIECES = (memoryview(DATA)[:HALF], memoryview(b""), memoryview(DATA)[HALF:])


def listed(storage: Storage) -> list[str]:
    return [found for found, _ in storage.unfinished()]


def a_file_that_is_put_is_finished(storage: Storage) -> None:
    for pieces, data in ((PIECES, DATA), ((), b"")):
        upload_id = new_id()
        with storage.put(upload_id, ".mp4", pieces) as arrival:
            assert read(storage.finished_file(upload_id, ".mp4")) == data
            arrival.keep()
        assert read(storage.finished_file(upload_id, ".mp4")) == data
        assert storage.reclaim(upload_id) is None
        storage.discard(upload_id, ".mp4")
        assert storage.finished_file(upload_id, ".mp4").stat() is None


def a_file_that_is_dropped_leaves_nothing(storage: Storage) -> None:
    upload_id = new_id()
    with storage.put(upload_id, "", PIECES) as arrival:
        arrival.drop()
    assert storage.finished_file(upload_id, "").stat() is None
    assert listed(storage) == []
    with storage.put(upload_id, "", PIECES) as arrival:
        arrival.keep()


def a_file_is_listed_until_it_is_kept(storage: Storage) -> None:
    before = time.time() - 2.0  # File systems keep times coarsely.
    upload_id = new_id()
    with storage.put(upload_id, ".mp4", PIECES) as arrival:
        [(found, changed)] = storage.unfinished()
        assert found == upload_id
        assert before <= changed <= time.time() + 2.0
        arrival.keep()
    assert listed(storage) == []


def what_a_process_left_is_reclaimed_when_it_has_died(storage: Storage) -> None:
    for is_kept in (True, False):
        upload_id = new_id()
        with storage.put(upload_id, ".mp4", PIECES):
            if storage.capabilities.locks_ranges:
                with raises(RangeLocked):
                    storage.reclaim(upload_id)
        for _ in range(2):
            # The first one dies, too.
            found = storage.reclaim(upload_id)
            assert found is not None
            with found:
                assert listed(storage) == [upload_id]
        found = storage.reclaim(upload_id)
        assert found is not None
        with found:
            if is_kept:
                found.keep()
            else:
                found.drop()
        assert (storage.finished_file(upload_id, ".mp4").stat() is not None) == is_kept
        assert listed(storage) == []
        assert storage.reclaim(upload_id) is None


def of_a_file_that_is_dropped_the_recorded_name_stays(storage: Storage) -> None:
    for suffix in (".mp4", ""):
        for recorded in (".mp4", "", ".mov"):
            upload_id = new_id()
            with storage.put(upload_id, suffix, PIECES):
                pass
            found = storage.reclaim(upload_id)
            assert found is not None
            with found:
                found.drop(recorded)
            is_there = storage.finished_file(upload_id, suffix).stat() is not None
            assert is_there == (suffix == recorded)
            assert listed(storage) == []


def nothing_is_put_where_the_upload_has_bytes(storage: Storage) -> None:
    unfinished = reserve_new(storage)
    write(storage, unfinished, 0, DATA)
    with raises(CannotPut):
        storage.put(unfinished, ".mp4", PIECES[:1])
    assert storage.reclaim(unfinished) is None
    assert read(storage.finish(unfinished, ".mp4", len(DATA))) == DATA
    with raises(CannotPut):
        storage.put(unfinished, ".mp4", PIECES[:1])
    assert read(storage.finished_file(unfinished, ".mp4")) == DATA

    upload_id = new_id()
    with storage.put(upload_id, ".mp4", PIECES) as arrival:
        for suffix in (".mp4", ".mov"):
            with raises(CannotPut):
                storage.put(upload_id, suffix, PIECES[:1])
        storage.delete(upload_id)
        assert listed(storage) == [upload_id]
        arrival.keep()
    assert read(storage.finished_file(upload_id, ".mp4")) == DATA
