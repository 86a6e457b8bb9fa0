"""What a process remembers saves requests, and is never believed against the store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from tests.storage.buckets import new_storage
from tests.storage.store_proxy import StoreProxy, store_proxy

from wherry.core.digests import crc64
from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.storage.s3 import remembered
from wherry.storage.s3.remembered import MOST_LEFT, Left, SentParts, UploadedPart
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
DATA = random.Random(3).randbytes(PART + 1000)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def pods(s3_server: S3Server, proxy: StoreProxy) -> tuple[S3Storage, S3Storage]:
    one = new_storage(s3_server, proxy.endpoint)
    return one, new_storage(s3_server, proxy.endpoint, one.bucket.place.prefix)


def write(storage: S3Storage, start: int, end: int, data: bytes = DATA) -> None:
    with storage.open(UPLOAD, Range(start, end)) as writer:
        writer.write(start, memoryview(data)[start:end])
        writer.sync()


def write_all(storage: S3Storage) -> None:
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    write(storage, 0, len(DATA))


def link(storage: S3Storage) -> None:
    assert storage.link(UPLOAD, ".mp4", len(DATA), crc64(DATA))


def content(storage: S3Storage) -> bytes:
    return b"".join(storage.finished_file(UPLOAD, ".mp4").read(Range(0, len(DATA))))


def left(storage: S3Storage) -> list[str]:
    return [key for key, _, _ in storage.bucket.list("") if not key.startswith("files/")]


def test_an_upload_of_one_process_asks_the_store_for_nothing(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    proxy.reset()
    write_all(pods[0])
    link(pods[0])
    pods[0].delete(UPLOAD)
    assert proxy.requests == {
        "CreateMultipartUpload": 1,
        "PutObject": 2,  # the marker, and the first bytes
        "UploadPart": 2,
        "CompleteMultipartUpload": 1,
        "DeleteObjects": 1,
    }
    assert content(pods[1]) == DATA
    assert left(pods[1]) == []


def test_a_part_that_another_process_has_replaced_is_looked_up(
    pods: tuple[S3Storage, S3Storage], proxy: StoreProxy
) -> None:
    write_all(pods[0])
    write(pods[1], PART, len(DATA), bytes(len(DATA)))
    proxy.reset()
    with pytest.raises(OSError, match="not those that were received"):
        link(pods[0])
    assert proxy.requests["ListParts"] == 1, "the store has the last word"
    write(pods[1], PART, len(DATA))
    link(pods[0])
    assert content(pods[0]) == DATA


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_an_upload_that_was_begun_anew_elsewhere_is_the_one_that_is_completed(
    pods: tuple[S3Storage, S3Storage], suffix: str
) -> None:
    pods[0].reserve(UPLOAD, len(DATA), suffix)
    write(pods[0], 0, len(DATA), bytes(len(DATA)))
    pods[1].delete(UPLOAD)
    write_all(pods[1])
    link(pods[0])
    assert content(pods[0]) == DATA
    pods[0].delete(UPLOAD)
    assert left(pods[0]) == []
    assert list(pods[0].bucket.uploads("")) == []


def test_an_upload_that_was_completed_long_ago_is_asked_for_before_it_is_deleted(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    write_all(pods[0])
    link(pods[0])
    pods[1].discard(UPLOAD, ".mp4")
    pods[1].delete(UPLOAD)
    pods[1].reserve(UPLOAD, len(DATA), ".mp4")
    with patch.object(remembered, "LEFT_FOR", -1.0):
        pods[0].delete(UPLOAD)
    assert list(pods[0].bucket.uploads("")) == [], "the new one was not ended"
    assert left(pods[0]) == []


def test_fragments_beside_whole_parts_are_deleted(pods: tuple[S3Storage, S3Storage]) -> None:
    pods[0].reserve(UPLOAD, len(DATA), ".mp4")
    write(pods[0], 0, MiB)  # its record was never made
    write(pods[0], 0, len(DATA))
    link(pods[0])
    pods[0].delete(UPLOAD)
    assert left(pods[0]) == []


def test_fragments_of_another_process_are_found_by_the_sweep(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    write_all(pods[0])
    write(pods[1], 0, MiB)
    link(pods[0])
    pods[0].delete(UPLOAD)
    assert [found for found, _ in pods[0].unfinished()] == [UPLOAD]
    pods[0].delete(UPLOAD)
    assert left(pods[0]) == []
    assert content(pods[0]) == DATA


def test_a_reservation_that_is_repeated_leaves_one_multipart_upload(
    pods: tuple[S3Storage, S3Storage],
) -> None:
    write_all(pods[0])
    for storage in (*pods, pods[0]):
        storage.reserve(UPLOAD, len(DATA), ".mp4")
    assert len(list(pods[0].bucket.uploads(""))) == 1
    link(pods[1])
    assert content(pods[0]) == DATA


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST_PARTS", 10)
    monkeypatch.setattr(remembered, "MOST_UPLOADS", 5)
    sent = SentParts()
    for number in range(1, 8):
        sent.add("a", UploadedPart(number, 1, "etag", None))
        sent.add("a", UploadedPart(number, 1, "another", None))
    assert [part.etag for part in sent.of("a")[0].values()] == ["another"] * 7
    for number in range(1, 8):
        sent.add("b", UploadedPart(number, 1, "etag", None))
    assert sent.of("a") == ({}, True), "what is not known may have fragments"
    assert len(sent.of("b")[0]) == 7
    sent.forget("b")
    sent.forget("b")
    for name in "cdefgh":
        sent.add_fragment(name)
    assert sent.of("c") == ({}, True)
    assert sent._count == 0
    assert len(sent._sent) == 5
    keys = Left()
    for number in range(MOST_LEFT + 1):
        keys.add(str(number), ["key"])
    assert keys.take("0") is None
    assert keys.take("1") == ["key"]
    assert keys.take("1") is None
