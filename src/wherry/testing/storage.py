"""What every storage promises, as checks that anybody can run against their own.

    from wherry.testing.storage import CHECKS, check_storage

    check_storage(MyStorage)  # all of them, each on a new, empty storage

or, one test a promise:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_promise(check): check(MyStorage())

Rule 1: a check knows nothing but the `Storage` protocol. What survives a crash
is each storage's own to prove.

Rule 2: no check fills a disk that others use. What happens on a full one is
checked where the storage's whole volume is smaller than `SMALL`.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from wherry.core.errors import DiskFull
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import RangeLocked, Storage, StoredFile, Vanished, Writer

Check = Callable[[Storage], None]

#: Bytes below which a volume is taken to be the check's own.
SMALL = 64 * MiB

DATA = bytes(range(256)) * 1024
HALF = len(DATA) // 2


def check_storage(make: Callable[[], Storage]) -> None:
    """Run every check on a new storage from `make`. Raises `AssertionError`."""
    for check in CHECKS:
        storage = make()
        storage.check()
        check(storage)


def what_was_written_is_what_is_finished(storage: Storage) -> None:
    """In any order, in pieces of any size."""
    upload_id = _reserved(storage)
    _write(storage, upload_id, HALF, DATA[HALF:])
    with storage.open(upload_id, Range(0, HALF)) as writer:
        for at in range(0, HALF, 1000):
            writer.write(at, memoryview(DATA)[at : min(at + 1000, HALF)])
        writer.sync()
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA
    assert _read(storage.finished_file(upload_id, ".mp4")) == DATA


def many_threads_write_at_once(storage: Storage) -> None:
    upload_id = _reserved(storage)
    step = len(DATA) // 16
    with ThreadPoolExecutor(4) as threads:
        for result in [
            threads.submit(_write, storage, upload_id, at, DATA[at : at + step])
            for at in range(0, len(DATA), step)
        ]:
            result.result()
    assert _read(storage.finish(upload_id, "", len(DATA))) == DATA


def all_bytes_can_be_read_before_they_are_finished(storage: Storage) -> None:
    upload_id = _reserved(storage, 2 * len(DATA))
    _write(storage, upload_id, 0, DATA)
    for _ in range(2):
        file = storage.unfinished_file(upload_id, len(DATA))
        assert _size(file) == len(DATA)
        assert _read(file) == DATA
    assert [found for found, _ in storage.unfinished()] == [upload_id]
    assert storage.finished_file(upload_id, ".mp4").stat() is None
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def what_is_missing_is_not_shown_as_a_file(storage: Storage) -> None:
    upload_id = _reserved(storage)
    with _refused(OSError):
        storage.unfinished_file(upload_id, len(DATA) + 1)
    with _refused(Vanished):
        storage.unfinished_file(_new_id(), 0)


def reserving_again_keeps_what_is_there(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    storage.reserve(upload_id, len(DATA))
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def an_empty_file_is_a_file(storage: Storage) -> None:
    upload_id = _reserved(storage, 0)
    assert storage.head(upload_id, 10) == b""
    assert _read(storage.finish(upload_id, ".txt", 0)) == b""


def a_place_longer_than_the_file_is_cut(storage: Storage) -> None:
    upload_id = _reserved(storage, 2 * len(DATA))
    _write(storage, upload_id, 0, DATA)
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def a_place_shorter_than_the_file_is_never_finished(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    with _refused(OSError):
        storage.finish(upload_id, ".mp4", len(DATA) + 1)
    assert storage.finished_file(upload_id, ".mp4").stat() is None
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def finishing_again_gives_the_same_file(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    first = storage.finish(upload_id, ".mp4", len(DATA))
    again = storage.finish(upload_id, ".mp4", len(DATA))
    assert (first.local_path, first.stat()) == (again.local_path, again.stat())
    assert _read(first) == DATA


def what_was_never_there_has_vanished(storage: Storage) -> None:
    upload_id = _new_id()
    with _refused(Vanished):
        storage.open(upload_id, Range(0, 1))
    with _refused(Vanished):
        storage.head(upload_id, 1)
    with _refused(Vanished):
        storage.finish(upload_id, ".mp4", 0)


def what_is_finished_takes_no_byte(storage: Storage) -> None:
    upload_id = _reserved(storage)
    storage.finish(upload_id, ".mp4", len(DATA))
    with _refused(Vanished):
        storage.open(upload_id, Range(0, 1))


def the_head_is_the_beginning(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA[:HALF])
    assert storage.head(upload_id, 100) == DATA[:100]
    assert storage.head(upload_id, 2 * len(DATA))[:HALF] == DATA[:HALF]


def a_range_has_one_writer(storage: Storage) -> None:
    if not storage.capabilities.locks_ranges:
        return
    upload_id = _reserved(storage)
    with storage.open(upload_id, Range(100, 200)):
        for overlapping in (Range(0, 101), Range(199, 300), Range(120, 130), Range(0, 300)):
            with _refused(RangeLocked):
                storage.open(upload_id, overlapping)
        with storage.open(upload_id, Range(0, 100)), storage.open(upload_id, Range(200, 300)):
            pass
    with storage.open(upload_id, Range(100, 200)):
        pass


def a_finished_file_is_known_to_be_there_or_not(storage: Storage) -> None:
    upload_id = _reserved(storage)
    file = storage.finished_file(upload_id, ".mp4")
    assert file.stat() is None
    before = time.time() - 2.0  # File systems keep times coarsely.
    storage.finish(upload_id, ".mp4", len(DATA))
    found = file.stat()
    assert found is not None
    assert found.size == len(DATA)
    assert before <= found.modified_at <= time.time() + 2.0
    assert storage.finished_file(upload_id, ".mov").stat() is None
    storage.discard(upload_id, ".mp4")
    assert file.stat() is None


def a_writer_stays_in_its_range(storage: Storage) -> None:
    upload_id = _reserved(storage)
    with storage.open(upload_id, Range(100, 200)) as writer:
        for at, size in ((99, 1), (200, 1), (150, 51), (0, 300)):
            with _refused(ValueError):
                writer.write(at, memoryview(DATA)[:size])
        writer.write(100, memoryview(DATA)[:100])
        writer.sync()


def deleting_removes_everything(storage: Storage) -> None:
    upload_id, other = _reserved(storage), _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    _write(storage, other, 0, DATA)
    for _ in range(2):
        storage.delete(upload_id)
        with _refused(Vanished):
            storage.unfinished_file(upload_id, 0)
        assert [found for found, _ in storage.unfinished()] == [other]
    with _refused(Vanished):
        storage.open(upload_id, Range(0, 1))
    assert _read(storage.finish(other, ".mp4", len(DATA))) == DATA


def deleting_spares_the_finished_file(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    file = storage.finish(upload_id, ".mp4", len(DATA))
    storage.delete(upload_id)
    assert _read(file) == DATA


def who_writes_into_a_deleted_upload_is_told(storage: Storage) -> None:
    """Bytes that went nowhere must not be called safe."""
    upload_id = _reserved(storage)
    with storage.open(upload_id, Range(0, 100)) as writer:
        writer.write(0, memoryview(DATA)[:100])
        storage.delete(upload_id)
        with _refused(OSError):
            writer.sync()


def discarding_removes_the_finished_file(storage: Storage) -> None:
    upload_id, other = _reserved(storage), _reserved(storage)
    file = storage.finish(upload_id, ".mp4", len(DATA))
    kept = storage.finish(other, ".mp4", len(DATA))
    for _ in range(2):
        storage.discard(upload_id, ".mp4")
        assert file.stat() is None
    assert _size(kept) == len(DATA)


def a_file_is_read_in_any_range(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
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
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    file = storage.finish(upload_id, ".mp4", len(DATA))
    with TemporaryDirectory() as folder:
        to = Path(folder) / "film.mp4"
        for _ in range(2):
            file.download(to)
            assert to.read_bytes() == DATA
        storage.discard(upload_id, ".mp4")
        with _refused(FileNotFoundError):
            file.download(to)
        assert to.read_bytes() == DATA
        assert list(Path(folder).iterdir()) == [to]


def a_file_that_is_gone_is_not_found(storage: Storage) -> None:
    file = storage.finished_file(_new_id(), ".mp4")
    assert file.stat() is None
    with _refused(FileNotFoundError):
        file.open()
    with _refused(FileNotFoundError):
        list(file.read(Range(0, 1)))


def a_local_path_leads_to_the_same_bytes(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    path = storage.unfinished_file(upload_id, len(DATA)).local_path
    assert path is None or path.read_bytes() == DATA
    path = storage.finish(upload_id, ".mp4", len(DATA)).local_path
    assert path is None or (path.suffix, path.read_bytes()) == (".mp4", DATA)


def a_picture_is_kept_and_replaced(storage: Storage) -> None:
    pictures, assessment_id = storage.pictures, _new_id()
    picture = pictures.get(assessment_id, "poster.jpg")
    assert picture.stat() is None
    for data in (DATA, b"smaller"):
        pictures.put(assessment_id, "poster.jpg", data)
        assert _size(picture) == len(data)
        assert _read(picture) == data
    assert pictures.get(assessment_id, "contact.jpg").stat() is None
    assert pictures.get(_new_id(), "poster.jpg").stat() is None
    with _refused(FileNotFoundError):
        pictures.get(assessment_id, "contact.jpg").open()


def pictures_are_deleted_with_their_assessment(storage: Storage) -> None:
    pictures, assessment_id, other = storage.pictures, _new_id(), _new_id()
    for owner in (assessment_id, other):
        for name in ("poster.jpg", "storyboard.vtt"):
            pictures.put(owner, name, DATA)
    for _ in range(2):
        pictures.delete(assessment_id)
        for name in ("poster.jpg", "storyboard.vtt"):
            assert pictures.get(assessment_id, name).stat() is None
            assert _read(pictures.get(other, name)) == DATA
    pictures.put(assessment_id, "poster.jpg", DATA)
    assert _read(pictures.get(assessment_id, "poster.jpg")) == DATA


def no_name_of_a_picture_leaves_the_storage(storage: Storage) -> None:
    pictures, good = storage.pictures, "poster.jpg"
    for name in ("", ".", "..", "../a.jpg", "a/b.jpg", ".jpg", "a.JPG", "a.html", "a.jpg\n", "a"):
        with _refused(ValueError):
            pictures.get(_new_id(), name)
        with _refused(ValueError):
            pictures.put(_new_id(), name, b"")
    for assessment_id in ("", ".", "..", "a/b", "a" * 65, "a\n", "a\0", "ä"):
        with _refused(ValueError):
            pictures.get(assessment_id, good)
        with _refused(ValueError):
            pictures.put(assessment_id, good, b"")
        with _refused(ValueError):
            pictures.delete(assessment_id)


def the_unfinished_are_listed_with_their_last_change(storage: Storage) -> None:
    assert list(storage.unfinished()) == []
    before = time.time() - 2.0  # File systems keep times coarsely.
    upload_id, other = _reserved(storage), _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    found = dict(storage.unfinished())
    assert found.keys() == {upload_id, other}
    assert all(before <= changed <= time.time() + 2.0 for changed in found.values())
    storage.finish(upload_id, "", len(DATA))
    storage.delete(other)
    assert list(storage.unfinished()) == []


def no_name_leaves_the_storage(storage: Storage) -> None:
    bad = ("", ".", "..", "a" * 15, "a" * 65, "../" * 8, "a" * 20 + "/", "a" * 20 + "\n", "ä" * 20)
    for name in (*bad, "a" * 20 + "\0"):
        with _refused(ValueError):
            storage.delete(name)
        with _refused(ValueError):
            storage.unfinished_file(name, 0)
        with _refused(ValueError):
            storage.reserve(name, 1)
        with _refused(ValueError):
            storage.open(name, Range(0, 1))
        with _refused(ValueError):
            storage.finish(name, ".mp4", 1)
    for suffix in ("mp4", "/x", "./..", ".mp4/", ".", ".a b", ".mp4\n"):
        with _refused(ValueError):
            storage.finished_file(_new_id(), suffix)


def the_volume_has_a_size(storage: Storage) -> None:
    space = storage.space()
    assert 0 <= space.free <= space.total


def checking_again_changes_nothing(storage: Storage) -> None:
    upload_id = _reserved(storage)
    _write(storage, upload_id, 0, DATA)
    assert all(warning.endswith(".") for warning in storage.check())
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


def a_full_volume_says_so_and_keeps_nothing(storage: Storage) -> None:
    space = storage.space()
    if not storage.capabilities.reserves or space.total > SMALL:
        return
    upload_id, refused = _reserved(storage), _new_id()
    with _refused(DiskFull):
        storage.reserve(refused, space.total)
    assert [found for found, _ in storage.unfinished()] == [upload_id]
    free = storage.space().free
    large = _reserved(storage, free - 16 * KiB)
    assert storage.space().free < free - len(DATA)
    _write(storage, upload_id, 0, DATA)
    storage.delete(large)
    assert storage.space().free > free - 16 * KiB
    assert _read(storage.finish(upload_id, ".mp4", len(DATA))) == DATA


CHECKS: tuple[Check, ...] = (
    what_was_written_is_what_is_finished,
    many_threads_write_at_once,
    all_bytes_can_be_read_before_they_are_finished,
    what_is_missing_is_not_shown_as_a_file,
    reserving_again_keeps_what_is_there,
    an_empty_file_is_a_file,
    a_place_longer_than_the_file_is_cut,
    a_place_shorter_than_the_file_is_never_finished,
    finishing_again_gives_the_same_file,
    what_was_never_there_has_vanished,
    what_is_finished_takes_no_byte,
    the_head_is_the_beginning,
    a_range_has_one_writer,
    a_finished_file_is_known_to_be_there_or_not,
    a_writer_stays_in_its_range,
    deleting_removes_everything,
    deleting_spares_the_finished_file,
    who_writes_into_a_deleted_upload_is_told,
    discarding_removes_the_finished_file,
    a_file_is_read_in_any_range,
    a_file_is_downloaded_whole_or_not_at_all,
    a_file_that_is_gone_is_not_found,
    a_local_path_leads_to_the_same_bytes,
    a_picture_is_kept_and_replaced,
    pictures_are_deleted_with_their_assessment,
    no_name_of_a_picture_leaves_the_storage,
    the_unfinished_are_listed_with_their_last_change,
    no_name_leaves_the_storage,
    the_volume_has_a_size,
    checking_again_changes_nothing,
    a_full_volume_says_so_and_keeps_nothing,
)


def _new_id() -> str:
    return secrets.token_hex(16)


def _reserved(storage: Storage, length: int = len(DATA)) -> str:
    upload_id = _new_id()
    storage.reserve(upload_id, length)
    return upload_id


def _write(storage: Storage, upload_id: str, at: int, data: bytes) -> None:
    writer: Writer
    with storage.open(upload_id, Range(at, at + len(data))) as writer:
        writer.write(at, memoryview(data))
        writer.sync()


def _read(file: StoredFile) -> bytes:
    with file.open() as opened:
        return opened.read()


def _size(file: StoredFile) -> int:
    found = file.stat()
    assert found is not None
    return found.size


@contextmanager
def _refused(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")
