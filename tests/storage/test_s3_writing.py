"""Chunks of any size, in any order, by any process, become parts of an object."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from unittest.mock import patch
from weakref import ref

import pytest
from tests.storage.buckets import new_storage
from tests.storage.store_proxy import StoreProxy, store_proxy

from wherry.core.digests import crc64
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import Storage, Vanished
from wherry.storage.s3.errors import S3Error
from wherry.storage.s3.storage import S3Storage
from wherry.storage.s3.writer import BUDGET, FOR_PARTS, KEPT, SMALL_RUN, SMALLEST_RUN, Memory
from wherry.testing.s3 import S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
#: Two parts, and a shorter one.
DATA = random.Random(0).randbytes(2 * PART + 3 * MiB + 17)


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def pods(s3_server: S3Server, proxy: StoreProxy) -> tuple[S3Storage, S3Storage]:
    """Two processes that share nothing but the bucket."""
    one = new_storage(s3_server, proxy.endpoint)
    return one, new_storage(s3_server, proxy.endpoint, one.bucket.place.prefix)


def write(storage: Storage, start: int, end: int, step: int = 256 * KiB) -> None:
    with storage.open(UPLOAD, Range(start, end)) as writer:
        for at in range(start, end, step):
            writer.write(at, memoryview(DATA)[at : min(at + step, end)])
        writer.sync()


def chunks(size: int) -> list[tuple[int, int]]:
    return [(at, min(at + size, len(DATA))) for at in range(0, len(DATA), size)]


def content(storage: Storage) -> bytes:
    file = storage.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA))
    with file.open() as opened:
        return opened.read()


@pytest.mark.parametrize("size", [PART, 2 * PART, len(DATA)])
def test_bytes_that_come_as_whole_parts_are_written_once_and_not_read(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy, size: int
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    proxy.reset()
    for start, end in chunks(size):
        write(pods[0], start, end)
    assert proxy.sent["UploadPart"] == len(DATA)
    assert proxy.sent["PutObject"] <= 8 * KiB  # the head
    assert proxy.received["GetObject"] == 0
    assert content(pods[1]) == DATA


def test_a_part_that_is_larger_than_what_a_writer_gathers_is_written_twice_and_read_once(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    """As in files of more than 156 GiB, here with parts of 5 MiB and writers of 2 MiB."""
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    proxy.reset()
    with patch("wherry.storage.s3.writer.LARGEST_RUN", 2 * MiB):
        write(pods[0], 0, PART)
        write(pods[1], PART, len(DATA))
    assert proxy.sent["UploadPart"] == len(DATA)
    # Besides, the head is read once and written once, and the markers are read.
    assert proxy.sent["PutObject"] <= len(DATA) + 8 * KiB
    assert proxy.received["GetObject"] <= len(DATA) + 8 * KiB + 1000
    assert content(pods[1]) == DATA


@pytest.mark.parametrize(
    ("size", "length"),
    [(64 * KiB, PART + 5000), (1_000_003, len(DATA)), (4 * MiB, len(DATA)), (6 * MiB, len(DATA))],
)
def test_other_chunks_in_any_order_on_any_process_are_written_twice_at_most(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy, size: int, length: int
) -> None:
    pods[0].reserve(UPLOAD, length, ".mp4")
    proxy.reset()
    shuffled = [(at, min(at + size, length)) for at in range(0, length, size)]
    random.Random(size).shuffle(shuffled)
    for number, (start, end) in enumerate(shuffled):
        write(pods[number % 2], start, end)
    assert proxy.sent["UploadPart"] == length
    written = proxy.sent["UploadPart"] + proxy.sent["PutObject"]
    # Besides, the head is read once and written once, and the markers are read.
    assert written <= 2 * length + 8 * KiB
    assert proxy.received["GetObject"] <= length + 8 * KiB + 400 * len(shuffled)
    proxy.reset()
    file = pods[1].finish(UPLOAD, ".mp4", length, crc64(DATA[:length]))
    assert proxy.sent["UploadPart"] == 0, "completion found all parts whole"
    assert b"".join(file.read(Range(0, length))) == DATA[:length]
    assert list(pods[0].bucket.list("fragments/")) == []


def test_chunks_at_the_same_time_on_two_processes_make_the_same_file(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    with ThreadPoolExecutor(8) as threads:
        for result in [
            threads.submit(write, pods[number % 2], start, end)
            for number, (start, end) in enumerate(chunks(512 * KiB))
        ]:
            result.result()
    assert content(pods[0]) == DATA


def test_a_chunk_that_two_processes_bring_is_there_once(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    with ThreadPoolExecutor(8) as threads:
        for result in [
            threads.submit(write, pod, start, end) for start, end in chunks(3 * MiB) for pod in pods
        ]:
            result.result()
    assert content(pods[0]) == DATA


def test_a_chunk_with_gaps_is_written_around_what_is_there(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    middle = Range(MiB, 2 * MiB)
    write(pods[0], middle.start, middle.end)
    with pods[1].open(UPLOAD, Range(0, len(DATA))) as writer:
        writer.write(0, memoryview(DATA)[: middle.start])
        for at in range(middle.end, len(DATA), MiB):
            writer.write(at, memoryview(DATA)[at : at + MiB])
        writer.sync()
    assert content(pods[0]) == DATA


def test_bytes_that_were_not_synced_do_not_count(pods: tuple[S3Storage, S3Storage]) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    write(pods[0], PART, len(DATA))
    with pods[0].open(UPLOAD, Range(0, PART)) as writer:
        writer.write(0, memoryview(DATA)[: PART - 1])
    with pytest.raises(OSError, match="missing"):
        pods[1].link(UPLOAD, ".mp4", len(DATA))
    write(pods[1], 0, PART)
    assert content(pods[1]) == DATA


def test_the_head_can_be_read_whatever_the_parts_are(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    assert pods[1].head(UPLOAD, 8192) == b""
    write(pods[0], 0, 5000)
    assert pods[1].head(UPLOAD, 8192) == DATA[:5000]
    write(pods[0], 5000, 64 * KiB)
    assert pods[1].head(UPLOAD, 8192) == DATA[:8192]
    assert pods[1].head(UPLOAD, 100) == DATA[:100]
    write(pods[1], 64 * KiB, PART)
    assert pods[1].head(UPLOAD, 8192) == DATA[:8192]
    write(pods[1], PART, len(DATA))
    assert pods[0].link(UPLOAD, ".mp4", len(DATA), crc64(DATA))
    assert pods[1].head(UPLOAD, 8192) == DATA[:8192]


def test_an_upload_that_was_deleted_by_another_process_has_vanished(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    length = PART + 100_000
    pods[0].reserve(UPLOAD, length, ".mp4")
    write(pods[0], 0, 100)
    with (
        pods[0].open(UPLOAD, Range(0, length)) as whole,
        pods[0].open(UPLOAD, Range(0, 1000)) as some,
    ):
        whole.write(0, memoryview(DATA)[:length])
        some.write(0, memoryview(DATA)[:1000])
        pods[1].delete(UPLOAD)
        # A part is sent as soon as it is full, so all of it may have come before the deletion. And
        # versitygw closes the connection of a large part that it refuses, perhaps before its
        # answer is read.
        with suppress(FileNotFoundError, S3Error):
            whole.sync()
        with pytest.raises(FileNotFoundError):
            some.sync()
    # A request on its way has put a fragment after the deletion.
    assert [found for found, _ in pods[1].unfinished()] == [UPLOAD]
    pods[1].delete(UPLOAD)
    assert list(pods[1].unfinished()) == []
    assert list(pods[1].bucket.list("")) == []
    with pytest.raises(Vanished):
        pods[1].open(UPLOAD, Range(0, 1))


def test_an_upload_that_began_anew_is_not_taken_for_the_old_one(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    length = PART + 100_000
    for end in (length, PART + 1000):  # a part, a fragment
        pods[0].reserve(UPLOAD, length, ".mp4")
        write(pods[0], PART, end)  # so it remembers the marker
        pods[1].delete(UPLOAD)
        pods[1].reserve(UPLOAD, length, ".mp4")
        with pods[0].open(UPLOAD, Range(PART, end)) as writer:
            writer.write(PART, memoryview(DATA)[PART:end])
            with pytest.raises(OSError, match="anew") as raised:
                writer.sync()
        assert not isinstance(raised.value, FileNotFoundError), "that would end the new upload"
        write(pods[0], 0, length)
        file = pods[1].finish(UPLOAD, ".mp4", length, crc64(DATA[:length]))
        assert b"".join(file.read(Range(0, length))) == DATA[:length]
        pods[0].discard(UPLOAD, ".mp4")


def test_memory_for_whole_parts_ends_and_small_fragments_go_on() -> None:
    memory = Memory()
    granted = [memory.take(PART) for _ in range(1000)]
    assert granted.count(PART) == FOR_PARTS // PART
    small = [size for size in granted if size < PART]
    assert set(small) == {SMALL_RUN, SMALLEST_RUN}
    assert sum(size for size in granted if size > SMALLEST_RUN) <= BUDGET
    for size in granted:
        memory.give_back(size)
    assert memory.take(PART) == PART


def test_the_memory_of_a_part_is_used_again_within_bounds() -> None:
    memory = Memory()

    def taken(count: int) -> list[bytearray]:
        return [memory.buffer(memory.take(PART)) for _ in range(count)]

    def give_back(buffers: list[bytearray]) -> None:
        for each in buffers:
            memory.give_back(len(each), each)

    def kept() -> int:
        return sum(map(len, memory._free))

    first = taken(FOR_PARTS // PART)
    assert len({id(each) for each in first}) == len(first), "two writers have one buffer"
    give_back(first[:2])
    assert kept() == 2 * PART
    [one] = taken(1)
    assert any(one is each for each in first[:2])
    give_back(first[2:])
    assert kept() == KEPT * PART
    again = taken(3)
    assert all(any(each is before for before in first) for each in again)
    give_back([one, *again])
    assert kept() == KEPT * PART
    # What is taken for runs of another size is not beside what is kept.
    larger = [memory.buffer(memory.take(2 * PART)) for _ in range(FOR_PARTS // PART // 2)]
    assert sum(map(len, larger)) == FOR_PARTS
    assert kept() == 0
    give_back(larger)
    memory.give_back(0, bytearray(SMALL_RUN))
    assert SMALL_RUN not in map(len, memory._free)


def test_a_buffer_that_is_used_again_sends_only_what_came_since(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    write(pods[0], 0, PART)
    assert len(pods[0]._memory._free) == 1
    proxy.reset()
    with pods[0].open(UPLOAD, Range(PART, 2 * PART)) as writer:  # a client that goes away
        writer.write(PART, memoryview(DATA)[PART : PART + 1000])
        writer.sync()
    assert proxy.sent["PutObject"] == 1000
    write(pods[0], PART + 1000, len(DATA))
    assert content(pods[1]) == DATA


def test_a_writer_does_not_hold_on_to_memory_that_it_has_given_back(
    pods: tuple[S3Storage, S3Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Buffer(bytearray):
        """One that a weak reference can be made of."""

    made = list[ref[Buffer]]()

    def buffer(_: Memory, size: int) -> bytearray:
        new = Buffer(size)
        made.append(ref(new))
        return new

    monkeypatch.setattr(Memory, "buffer", buffer)
    memory = pods[0]._memory
    memory.take(FOR_PARTS)  # so there is memory for small fragments only, and none of it is kept
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    with pods[0].open(UPLOAD, Range(0, PART)) as writer:
        writer.write(0, memoryview(DATA)[:1000])
        writer.write(2000, memoryview(DATA)[2000:3000])  # sends what came before
        with memory._changed:
            is_sent = memory._changed.wait_for(lambda: memory._taken == FOR_PARTS + SMALL_RUN, 60)
        assert is_sent
        first, second = made
        assert first() is None, "its writer still has it"
        assert second() is not None


def test_a_failed_writer_gives_its_memory_back(s3_server: S3Server) -> None:
    storage = new_storage(s3_server)
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    new_storage(s3_server, prefix=storage.bucket.place.prefix).delete(UPLOAD)
    with pytest.raises(Vanished):
        write(storage, 0, len(DATA))
    memory = storage._memory
    assert memory._taken == 0
    assert len({id(each) for each in memory._free}) == len(memory._free)


def test_a_writer_without_memory_for_a_part_loses_nothing(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    with ExitStack() as held:
        others = [pods[0]._memory.take(PART) for _ in range(FOR_PARTS // PART)]
        for size in others:
            held.callback(pods[0]._memory.give_back, size)
        proxy.reset()
        for start, end in chunks(PART):
            write(pods[0], start, end)
        assert proxy.sent["PutObject"] >= 2 * PART, "the parts came as fragments"
    assert pods[0]._memory._taken == 0
    assert content(pods[1]) == DATA
