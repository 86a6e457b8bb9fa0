"""Stop S3 storage before and after every request, and go on in another process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from tests.storage.buckets import client_of, new_storage

from wherry.core.digests import crc64
from wherry.core.limits import MiB
from wherry.core.place import Place
from wherry.core.ranges import Range
from wherry.storage import Vanished
from wherry.storage.s3.storage import S3Storage
from wherry.testing.faults import CrashPoint, crash_points
from wherry.testing.s3 import S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
#: A part that comes in pieces, and a short one that comes whole.
DATA = random.Random(2).randbytes(PART + 10_000)
SMALL = DATA[:1000]

Act = Callable[[S3Storage], object]


def crashing(server: S3Server, place: Place, point: CrashPoint) -> S3Storage:
    """A process that ends at this point, of those before and after each request."""
    storage = S3Storage(client_of(server), place)
    storage.bucket.call = point.guard(storage.bucket.call)  # type: ignore[method-assign]
    return storage


@pytest.fixture
def crashed_runs(
    s3_server: S3Server,
) -> Callable[[Act, Act], Iterator[tuple[CrashPoint, S3Storage]]]:
    def run(before: Act, act: Act) -> Iterator[tuple[CrashPoint, S3Storage]]:
        """Storages after `before`, then `act` stopped at each point, then another process."""
        points = 0
        for point in crash_points():
            storage = new_storage(s3_server)
            place = storage.bucket.place
            before(storage)
            with point:
                act(crashing(s3_server, place, point))
            yield point, new_storage(s3_server, prefix=place.prefix)
            points += 1
        assert points > 2, "nothing was crashed"

    return run


Runs = Callable[[Act, Act], Iterator[tuple[CrashPoint, S3Storage]]]


def nothing(_: S3Storage) -> None: ...


def reserve(storage: S3Storage) -> None:
    storage.reserve(UPLOAD, len(DATA), ".mp4")


def write(storage: S3Storage, start: int, end: int) -> None:
    with storage.open(UPLOAD, Range(start, end)) as writer:
        writer.write(start, memoryview(DATA)[start:end])
        writer.sync()


def write_all(storage: S3Storage) -> None:
    reserve(storage)
    write(storage, 0, len(DATA))


def write_half(storage: S3Storage) -> None:
    reserve(storage)
    write(storage, 0, 2 * MiB)


def link(storage: S3Storage) -> None:
    assert storage.link(UPLOAD, ".mp4", len(DATA), crc64(DATA))


def finish(storage: S3Storage) -> bytes:
    with storage.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA)).open() as file:
        return file.read()


def fragments_reach_the_end(storage: S3Storage) -> bool:
    """Whether the last fragment, or the part made of all, is in the store."""
    marker = storage.markers.get(UPLOAD)
    assert marker is not None
    parts = storage.bucket.parts(marker.file(UPLOAD), marker.multipart)
    keys = [key for key, _, _ in storage.bucket.list("fragments/")]
    return 1 in parts or any(f"-{PART:020}-" in key for key in keys)


def left(storage: S3Storage) -> list[str]:
    return [key for key, _, _ in storage.bucket.list("") if not key.startswith("files/")]


def test_a_reservation_is_made_after_a_crash_at_any_request(crashed_runs: Runs) -> None:
    for point, storage in crashed_runs(nothing, reserve):
        write_all(storage)
        assert finish(storage) == DATA, f"at {point}"
        assert left(storage) == [], f"at {point}"


def test_a_reservation_over_bytes_keeps_them(crashed_runs: Runs) -> None:
    for point, storage in crashed_runs(write_all, reserve):
        assert finish(storage) == DATA, f"at {point}"


def test_bytes_are_written_after_a_crash_at_any_request(crashed_runs: Runs) -> None:
    """Also where the crash leaves fragments of a part, and a part that is half put together."""

    def act(storage: S3Storage) -> None:
        write(storage, 2 * MiB, len(DATA))

    for point, storage in crashed_runs(write_half, act):
        assert storage.head(UPLOAD, 100) == DATA[:100], f"at {point}"
        act(storage)
        assert finish(storage) == DATA, f"at {point}"
        assert left(storage) == [], f"at {point}"


def test_fragments_are_put_together_by_a_completion_after_a_crash(crashed_runs: Runs) -> None:
    """The record was made: the crash came when all bytes were safe."""

    def before(storage: S3Storage) -> None:
        write_half(storage)
        write(storage, PART, len(DATA))

    def act(storage: S3Storage) -> None:
        write(storage, 2 * MiB, PART)

    for point, storage in crashed_runs(before, act):
        if point.is_reached and not fragments_reach_the_end(storage):
            with pytest.raises(OSError, match="missing"):
                link(storage)
            act(storage)
        assert finish(storage) == DATA, f"at {point}"


@pytest.mark.parametrize("act", [link, finish])
def test_a_file_is_completed_after_a_crash_at_any_request(crashed_runs: Runs, act: Act) -> None:
    for point, storage in crashed_runs(write_all, act):
        file = storage.finished_file(UPLOAD, ".mp4")
        assert (found := file.stat()) is None or found.size == len(DATA), f"at {point}"
        act(storage)
        assert finish(storage) == DATA, f"at {point}"
        assert left(storage) == [], f"at {point}"


def test_an_upload_of_one_process_is_whole_or_found_after_a_crash_at_any_request(
    crashed_runs: Runs,
) -> None:
    """The process knows what it has sent, and asks for less."""

    def act(storage: S3Storage) -> None:
        write_all(storage)
        link(storage)
        storage.delete(UPLOAD)

    for point, storage in crashed_runs(nothing, act):
        file = storage.finished_file(UPLOAD, ".mp4")
        if file.stat() is None:
            write_all(storage)
        assert finish(storage) == DATA, f"at {point}"
        for found, _ in list(storage.unfinished()):
            storage.delete(found)
        assert left(storage) == [], f"at {point}"


def test_what_hooks_see_is_whole_after_a_crash_at_any_request(crashed_runs: Runs) -> None:
    def act(storage: S3Storage) -> None:
        storage.unfinished_file(UPLOAD, len(DATA), crc64(DATA))

    for point, storage in crashed_runs(write_all, act):
        file = storage.unfinished_file(UPLOAD, len(DATA), crc64(DATA))
        assert b"".join(file.read(Range(0, len(DATA)))) == DATA, f"at {point}"
        assert finish(storage) == DATA


def test_an_upload_is_deleted_after_a_crash_at_any_request(crashed_runs: Runs) -> None:
    for point, storage in crashed_runs(write_half, lambda storage: storage.delete(UPLOAD)):
        if left(storage):
            assert [found for found, _ in storage.unfinished()] == [UPLOAD], f"at {point}"
        storage.delete(UPLOAD)
        assert left(storage) == [], f"at {point}"
        assert list(storage.bucket.uploads("")) == [], f"at {point}"
        with pytest.raises(Vanished):
            storage.open(UPLOAD, Range(0, 1))


def test_a_file_that_is_put_is_whole_or_found_after_a_crash_at_any_request(
    crashed_runs: Runs,
) -> None:
    def put(storage: S3Storage) -> None:
        with storage.put(UPLOAD, ".mp4", [memoryview(SMALL)]) as arrival:
            arrival.keep()

    for point, storage in crashed_runs(nothing, put):
        file = storage.finished_file(UPLOAD, ".mp4")
        is_kept = not left(storage) and file.stat() is not None
        if (found := storage.reclaim(UPLOAD)) is not None:
            with found:
                found.drop()
        assert left(storage) == [], f"at {point}"
        assert (file.stat() is not None) == is_kept, f"at {point}"
        if not is_kept:
            put(storage)
        assert b"".join(file.read(Range(0, len(SMALL)))) == SMALL


def test_what_was_put_is_dropped_or_kept_after_a_crash_at_any_request(crashed_runs: Runs) -> None:
    def before(storage: S3Storage) -> None:
        storage.put(UPLOAD, ".mp4", [memoryview(SMALL)])

    for recorded in (".mp4", None):

        def act(storage: S3Storage, recorded: str | None = recorded) -> None:
            if (found := storage.reclaim(UPLOAD)) is not None:
                found.drop(recorded)

        for point, storage in crashed_runs(before, act):
            act(storage)
            is_there = storage.finished_file(UPLOAD, ".mp4").stat() is not None
            assert is_there == (recorded is not None), f"at {point}"
            assert left(storage) == []
