"""A file of one part is made at once, without a multipart upload."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock, patch

import pytest
from tests.storage.buckets import client_of, new_storage
from tests.storage.store_proxy import Fault, StoreProxy, store_proxy

from wherry.core.digests import crc64
from wherry.core.limits import KiB, MiB
from wherry.core.place import Place
from wherry.core.ranges import Range
from wherry.storage import StoredPart
from wherry.storage.s3 import remembered
from wherry.storage.s3.bucket import Features
from wherry.storage.s3.connecting import connect
from wherry.storage.s3.storage import S3Storage
from wherry.testing.faults import crash_points
from wherry.testing.s3 import S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
DATA = random.Random(6).randbytes(MiB)
OTHER = random.Random(7).randbytes(MiB)


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """botocore pauses between tries, for seconds."""
    without = Mock(wraps=time)
    without.sleep = lambda _: None
    with patch("botocore.endpoint.time", without):
        yield


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def pods(s3_server: S3Server, proxy: StoreProxy) -> tuple[S3Storage, S3Storage]:
    """Two processes that share nothing but the bucket."""
    place = new_storage(s3_server).bucket.place
    with patch.dict("os.environ", s3_server.environment):
        client = connect(proxy.endpoint, None)
    return S3Storage(client, place), S3Storage(client, place)


def reserve(storage: S3Storage, data: bytes = DATA) -> None:
    storage.reserve(UPLOAD, len(data), ".mp4")


def write(storage: S3Storage, data: bytes = DATA, start: int = 0, end: int | None = None) -> None:
    end = len(data) if end is None else end
    with storage.open(UPLOAD, Range(start, end)) as writer:
        writer.write(start, memoryview(data)[start:end])
        writer.sync()


def link(storage: S3Storage, data: bytes = DATA) -> None:
    assert storage.link(UPLOAD, ".mp4", len(data), crc64(data))


def content(storage: S3Storage) -> bytes:
    with storage.finished_file(UPLOAD, ".mp4").open() as file:
        return file.read()


def left(storage: S3Storage) -> list[str]:
    multiparts = [key for key, _, _ in storage.bucket.uploads("")]
    return multiparts + [
        key for key, _, _ in storage.bucket.list("") if not key.startswith("files/")
    ]


# What it costs.


@pytest.mark.parametrize("size", [1, 100 * KiB, MiB, PART])
def test_a_file_that_comes_in_one_chunk_takes_three_requests(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    proxy.reset()
    reserve(pods[0], data)
    write(pods[0], data)
    link(pods[0], data)
    pods[0].delete(UPLOAD)
    # The marker, the object, the marker.
    assert proxy.requests == {"PutObject": 2, "DeleteObject": 1}
    assert proxy.sent["PutObject"] < size + 400
    assert content(pods[1]) == data
    assert left(pods[1]) == []


def test_another_process_asks_the_store_before_it_completes(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    reserve(pods[0])
    write(pods[0])
    proxy.reset()
    link(pods[1])
    assert proxy.requests == {"GetObject": 1, "HeadObject": 1}
    proxy.reset()
    link(pods[0])
    link(pods[0])
    assert proxy.requests == {"HeadObject": 1}, "what is remembered is used once"
    with patch.object(remembered, "FRESH_FOR", -1.0):
        pods[1].discard(UPLOAD, ".mp4")
        write(pods[0])
        proxy.reset()
        link(pods[0])
        assert proxy.requests == {"HeadObject": 1}, "it may have been removed meanwhile"


def test_other_chunks_are_put_together_by_completion(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    reserve(pods[0])
    proxy.reset()
    step = 200_000
    for number, at in enumerate(range(0, len(DATA), step)):
        write(pods[number % 2], DATA, at, min(at + step, len(DATA)))
    assert pods[0].head(UPLOAD, 100) == DATA[:100]
    assert proxy.requests["ListObjects"] == 1, "that was for the head"
    link(pods[0])
    assert content(pods[1]) == DATA
    assert proxy.sent["PutObject"] == 2 * len(DATA)
    pods[1].delete(UPLOAD)
    assert left(pods[0]) == []


def test_the_first_bytes_are_read_from_the_object(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    reserve(pods[0])
    assert pods[0].head(UPLOAD, 8192) == b""
    write(pods[0])
    proxy.reset()
    assert pods[0].head(UPLOAD, 8192) == DATA[:8192]
    assert proxy.requests == {"GetObject": 1}
    assert proxy.received["GetObject"] == 8192


def test_the_part_is_told_and_has_no_address(pods: tuple[S3Storage, S3Storage]) -> None:
    reserve(pods[0])
    assert pods[0].parts.stored(UPLOAD, [1]) == {}
    write(pods[0])
    assert pods[1].parts.stored(UPLOAD, [1, 2]) == {1: StoredPart(len(DATA), crc64(DATA))}
    with pytest.raises(ValueError, match="is no part"):
        pods[0].parts.address(UPLOAD, Range(0, len(DATA)), crc64(DATA), 60)


# Which stores can do that.


@pytest.mark.parametrize(
    "features",
    [Features(is_exact=False), Features(is_conditional=False), Features(verifies=False)],
)
def test_a_store_that_can_do_less_gets_a_multipart_upload(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy, features: Features
) -> None:
    pods[0].bucket.features = features
    reserve(pods[0])
    write(pods[0])
    assert proxy.requests["UploadPart"] == 1
    link(pods[0])
    pods[0].delete(UPLOAD)
    assert content(pods[1]) == DATA
    assert left(pods[1]) == []


class _Ignoring:
    """A client of a store that ignores a condition, or knows none of an object's checksum."""

    def __init__(self, client: object, ignored: str) -> None:
        self._client = client
        self._ignored = ignored

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def put_object(self, **given: object) -> object:
        given.pop(self._ignored, None)
        return self._client.put_object(**given)  # type: ignore[attr-defined]

    def head_object(self, **given: object) -> object:
        given.pop(self._ignored, None)
        return self._client.head_object(**given)  # type: ignore[attr-defined]


def test_whether_a_store_can_do_that_is_found_out_by_doing_it(s3_server: S3Server) -> None:
    def features(ignored: str) -> Features:
        # Without its connections, the client makes every request.
        client = _Ignoring(client_of(s3_server), ignored)
        client._endpoint = None  # type: ignore[attr-defined]
        storage = S3Storage(client, Place(s3_place.bucket, s3_place.prefix))
        storage.check()
        assert list(storage.bucket.list("")) == []
        return storage.bucket.features

    s3_place = new_storage(s3_server).bucket.place
    assert features("").makes_at_once
    for ignored in ("IfMatch", "IfNoneMatch", "ChecksumMode"):
        found = features(ignored)
        assert not found.makes_at_once, ignored
        assert found.is_conditional == (ignored != "IfNoneMatch")


# What may go wrong.


def test_a_lost_answer_is_asked_for_again(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    reserve(pods[0])
    proxy.faults = [Fault("PutObject")]
    write(pods[0])
    assert not proxy.faults[0].times
    link(pods[1])
    pods[1].delete(UPLOAD)
    assert content(pods[0]) == DATA
    assert left(pods[0]) == []


def test_a_chunk_that_comes_again_finds_its_object(pods: tuple[S3Storage, S3Storage]) -> None:
    """Its record was never made."""
    reserve(pods[0])
    write(pods[0])
    write(pods[1])
    assert list(pods[0].bucket.list("fragments/")) == []
    link(pods[1])
    assert content(pods[0]) == DATA


def test_other_bytes_that_were_never_recorded_are_replaced_by_the_recorded_ones(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    reserve(pods[0])
    write(pods[1], OTHER)
    write(pods[0], DATA)
    link(pods[0])
    assert content(pods[1]) == DATA
    pods[1].delete(UPLOAD)
    assert left(pods[1]) == []


def test_a_process_that_wakes_up_late_changes_no_file(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    reserve(pods[0])
    with (
        pods[1].open(UPLOAD, Range(0, len(DATA))) as before,
        pods[1].open(UPLOAD, Range(0, len(DATA))) as after,
    ):
        for paused in (before, after):
            paused.write(0, memoryview(OTHER))
        write(pods[0])
        before.sync()
        link(pods[0])
        pods[0].delete(UPLOAD)
        after.sync()
    assert content(pods[0]) == DATA
    # What it has left is found by the sweep.
    assert [found for found, _ in pods[0].unfinished()] == [UPLOAD]
    pods[0].delete(UPLOAD)
    assert left(pods[0]) == []
    assert content(pods[0]) == DATA


def test_a_process_that_is_late_to_replace_an_object_finds_the_right_one(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    reserve(pods[0])
    write(pods[1], OTHER)
    write(pods[0])
    # Both have seen the wrong object, and one is quicker.
    quicker = Fault("ListObjects", 1, 503, "SlowDown", passes=False, then=lambda: link(pods[1]))
    proxy.faults = [quicker]
    link(pods[0])
    assert not proxy.faults[0].times
    assert content(pods[0]) == DATA


def test_only_the_object_that_was_seen_is_replaced(pods: tuple[S3Storage, S3Storage]) -> None:
    bucket, key, crc = pods[0].bucket, "files/a", crc64(DATA)
    bucket.put_new(key, OTHER, crc64(OTHER), "token")
    seen = bucket.head(key)
    assert bucket.put_new(key, DATA, crc, "token", seen)
    assert not bucket.put_new(key, OTHER, crc64(OTHER), "token", seen), "it is another one by now"
    assert bucket.read(key) == DATA
    bucket.delete([key])
    assert not bucket.put_new(key, DATA, crc, "token", seen)
    assert bucket.head(key) is None


def test_an_upload_that_was_begun_anew_elsewhere_is_the_one_that_is_completed(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    for is_whole in (True, False):
        reserve(pods[0])
        write(pods[0], OTHER)
        pods[1].discard(UPLOAD, ".mp4")
        pods[1].delete(UPLOAD)
        reserve(pods[1])
        for start, end in ((0, len(DATA)),) if is_whole else ((0, 1000), (1000, len(DATA))):
            write(pods[1], DATA, start, end)
        link(pods[0])
        assert content(pods[0]) == DATA
        for storage in pods:
            storage.delete(UPLOAD)
        assert left(pods[1]) == []
        pods[0].discard(UPLOAD, ".mp4")


def test_two_processes_complete_the_same_upload(pods: tuple[S3Storage, S3Storage]) -> None:
    reserve(pods[0])
    write(pods[1], OTHER)
    for start, end in ((0, 100_000), (100_000, len(DATA))):
        write(pods[0], DATA, start, end)
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(link, pods[number % 2]) for number in range(4)]:
            done.result()
    assert content(pods[0]) == DATA


def test_bytes_that_are_not_the_recorded_ones_are_never_a_file(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    reserve(pods[0])
    write(pods[0], OTHER)
    for storage in pods:
        with pytest.raises(OSError, match="not those that were received"):
            link(storage)
        with pytest.raises(OSError, match="not those that were received"):
            storage.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA))
    write(pods[0], DATA, 0, 1000)
    write(pods[0], OTHER, 1000)
    with pytest.raises(OSError, match="not those that were received"):
        link(pods[0])
    assert content(pods[0]) == OTHER, "it has the name, and no record"


def test_an_object_that_was_removed_is_missed(pods: tuple[S3Storage, S3Storage]) -> None:
    reserve(pods[0])
    write(pods[0])
    pods[1].discard(UPLOAD, ".mp4")
    with pytest.raises(OSError, match="missing"):
        link(pods[1])
    write(pods[1], DATA, 0, 1000)
    with pytest.raises(OSError, match="missing"):
        link(pods[1])


def test_a_late_object_is_never_taken_for_that_of_an_upload_that_began_anew(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    reserve(pods[0])
    with pods[0].open(UPLOAD, Range(0, len(DATA))) as late:
        late.write(0, memoryview(OTHER))
        pods[1].discard(UPLOAD, ".mp4")
        pods[1].delete(UPLOAD)
        reserve(pods[1])
        late.sync()  # the record of this is refused
    write(pods[1])
    with pytest.raises(FileExistsError):
        link(pods[1])
    pods[1].discard(UPLOAD, ".mp4")  # as cancelling does
    link(pods[1])
    assert content(pods[1]) == DATA


def test_a_small_file_is_whole_or_found_after_a_crash_at_any_request(s3_server: S3Server) -> None:
    def act(storage: S3Storage) -> None:
        reserve(storage)
        write(storage)
        link(storage)
        storage.delete(UPLOAD)

    _crash(s3_server, lambda _: None, act)


@pytest.mark.parametrize("is_other_first", [True, False])
def test_fragments_of_a_small_file_are_put_together_after_a_crash_at_any_request(
    s3_server: S3Server, is_other_first: bool
) -> None:
    def before(storage: S3Storage) -> None:
        reserve(storage)
        if is_other_first:
            write(storage, OTHER)
        write(storage, DATA, 0, 1000)
        write(storage, DATA, 1000)

    def act(storage: S3Storage) -> None:
        link(storage)
        storage.delete(UPLOAD)

    _crash(s3_server, before, act)


def _crash(s3_server: S3Server, before: object, act: object) -> None:
    """Stop `act` at each request; then another process goes on, and comes to the same file."""
    points = 0
    for point in crash_points():
        storage = new_storage(s3_server)
        place = storage.bucket.place
        before(storage)  # type: ignore[operator]
        crashing = S3Storage(client_of(s3_server), place)
        crashing.bucket.call = point.guard(crashing.bucket.call)  # type: ignore[method-assign]
        with point:
            act(crashing)  # type: ignore[operator]
        other = new_storage(s3_server, prefix=place.prefix)
        if other.finished_file(UPLOAD, ".mp4").stat() is None:
            act(other)  # type: ignore[operator]
        file = other.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA))
        assert b"".join(file.read(Range(0, len(DATA)))) == DATA, f"at {point}"
        for found, _ in list(other.unfinished()):
            other.delete(found)
        assert left(other) == [], f"at {point}"
        points += 1
    assert points > 2, "nothing was crashed"
