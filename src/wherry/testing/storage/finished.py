"""Finished files: made once, read in any range, downloaded, discarded."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from wherry.core.ranges import Range
from wherry.storage import Storage, StoredFile, Vanished
from wherry.testing.storage.fixtures import (
    DATA,
    HALF,
    check_head,
    new_id,
    raises,
    read,
    reserve_new,
    size,
    write,
)


def an_empty_file_can_be_finished(storage: Storage) -> None:
    upload_id = reserve_new(storage, 0, ".txt")
    assert storage.head(upload_id, 10) == b""
    assert read(storage.finish(upload_id, ".txt", 0)) == b""


def a_reservation_longer_than_the_file_is_cut(storage: Storage) -> None:
    upload_id = reserve_new(storage, 2 * len(DATA))
    write(storage, upload_id, 0, DATA)
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def a_reservation_shorter_than_the_file_is_never_finished(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    with raises(OSError):
        storage.finish(upload_id, ".mp4", len(DATA) + 1)
    if storage.parts is None:
        assert storage.finished_file(upload_id, ".mp4").stat() is None
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def finishing_again_gives_the_same_file(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    first = storage.finish(upload_id, ".mp4", len(DATA))
    again = storage.finish(upload_id, ".mp4", len(DATA))
    assert (first.local_path, first.stat()) == (again.local_path, again.stat())
    assert read(first) == DATA


def a_linked_file_is_there_under_both_names_until_one_is_deleted(storage: Storage) -> None:
    upload_id = reserve_new(storage, 2 * len(DATA))
    write(storage, upload_id, 0, DATA)
    for _ in range(2):
        if not storage.link(upload_id, ".mp4", len(DATA)):
            assert storage.finished_file(upload_id, ".mp4").stat() is None
            return
        check_head(storage, upload_id)
        assert read(storage.finished_file(upload_id, ".mp4")) == DATA
        assert [found for found, _ in storage.unfinished()] == [upload_id]
    storage.delete(upload_id)
    assert read(storage.finished_file(upload_id, ".mp4")) == DATA
    assert list(storage.unfinished()) == []


def a_linked_file_can_be_taken_back(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    if storage.link(upload_id, ".mp4", len(DATA)):
        storage.discard(upload_id, ".mp4")
    assert storage.finished_file(upload_id, ".mp4").stat() is None
    assert not storage.vanished([upload_id])
    if storage.parts is None:
        check_head(storage, upload_id)


def a_linked_file_is_finished_like_any_other(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    storage.link(upload_id, ".mp4", len(DATA))
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
    assert list(storage.unfinished()) == []


def what_cannot_be_finished_cannot_be_linked(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    with raises(OSError):
        storage.link(upload_id, ".mp4", len(DATA) + 1)
    with raises(Vanished):
        storage.link(new_id(), ".mp4", 0)
    assert storage.finished_file(upload_id, ".mp4").stat() is None


def another_file_of_its_name_is_never_taken_for_the_upload(storage: Storage) -> None:
    upload_id, other = new_id(), DATA[:HALF]
    with storage.put(upload_id, ".mp4", [memoryview(other)]) as arrival:
        arrival.keep()
    storage.reserve(upload_id, len(DATA), ".mp4")
    write(storage, upload_id, 0, DATA)
    for _ in range(2):
        with suppress(OSError):
            assert not storage.link(upload_id, ".mp4", len(DATA))
        with raises(OSError):
            storage.finish(upload_id, ".mp4", len(DATA))
        check_head(storage, upload_id)
        assert read(storage.finished_file(upload_id, ".mp4")) == other
    storage.discard(upload_id, ".mp4")
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def of_two_files_of_a_length_the_one_with_the_name_keeps_it(storage: Storage) -> None:
    upload_id = new_id()
    with storage.put(upload_id, ".mp4", [memoryview(DATA)]) as arrival:
        arrival.keep()
    storage.reserve(upload_id, len(DATA), ".mp4")
    with suppress(OSError):
        assert not storage.link(upload_id, ".mp4", len(DATA))
    assert read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
    assert list(storage.unfinished()) == []


def a_finished_upload_accepts_no_bytes(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    storage.finish(upload_id, ".mp4", len(DATA))
    with raises(Vanished):
        storage.open(upload_id, Range(0, 1))


def a_finished_file_reports_its_size_and_time(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    before = time.time() - 2.0  # File systems keep times coarsely.
    write(storage, upload_id, 0, DATA)
    file = storage.finished_file(upload_id, ".mp4")
    if storage.parts is None:
        assert file.stat() is None
    storage.finish(upload_id, ".mp4", len(DATA))
    found = file.stat()
    assert found is not None
    assert found.size == len(DATA)
    assert before <= found.modified_at <= time.time() + 2.0
    assert storage.finished_file(upload_id, ".mov").stat() is None
    storage.discard(upload_id, ".mp4")
    assert file.stat() is None


def deleting_keeps_the_finished_file(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    file = storage.finish(upload_id, ".mp4", len(DATA))
    storage.delete(upload_id)
    assert read(file) == DATA


def discarding_removes_the_finished_file(storage: Storage) -> None:
    upload_id, other = reserve_new(storage), reserve_new(storage)
    for one in (upload_id, other):
        write(storage, one, 0, DATA)
    file = storage.finish(upload_id, ".mp4", len(DATA))
    kept = storage.finish(other, ".mp4", len(DATA))
    for _ in range(2):
        storage.discard(upload_id, ".mp4")
        assert file.stat() is None
    assert size(kept) == len(DATA)


def a_file_can_be_read_in_any_range(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    _check_ranges(storage.unfinished_file(upload_id, len(DATA)))
    _check_ranges(storage.finish(upload_id, ".mp4", len(DATA)))


def _check_ranges(file: StoredFile) -> None:
    ends = (0, 1, HALF, len(DATA) - 1, len(DATA), len(DATA) + 100)
    for start in ends:
        for end in (end for end in ends if end > start):
            assert b"".join(file.read(Range(start, end))) == DATA[start:end]
    with file.open() as opened:
        opened.seek(HALF)
        assert opened.read(100) == DATA[HALF : HALF + 100]
        opened.seek(-100, os.SEEK_END)
        assert opened.read() == DATA[-100:]


def a_file_is_downloaded_whole_or_not_at_all(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    file = storage.finish(upload_id, ".mp4", len(DATA))
    with TemporaryDirectory() as folder:
        to = Path(folder) / "film.mp4"
        for _ in range(2):
            file.download(to)
            assert to.read_bytes() == DATA
        storage.discard(upload_id, ".mp4")
        with raises(FileNotFoundError):
            file.download(to)
        assert to.read_bytes() == DATA
        assert list(Path(folder).iterdir()) == [to]


def a_missing_file_is_not_found(storage: Storage) -> None:
    file = storage.finished_file(new_id(), ".mp4")
    assert file.stat() is None
    with raises(FileNotFoundError):
        file.open()
    with raises(FileNotFoundError):
        list(file.read(Range(0, 1)))


def a_local_path_has_the_same_bytes(storage: Storage) -> None:
    upload_id = reserve_new(storage)
    write(storage, upload_id, 0, DATA)
    path = storage.unfinished_file(upload_id, len(DATA)).local_path
    assert path is None or path.read_bytes() == DATA
    path = storage.finish(upload_id, ".mp4", len(DATA)).local_path
    assert path is None or (path.suffix, path.read_bytes()) == (".mp4", DATA)
