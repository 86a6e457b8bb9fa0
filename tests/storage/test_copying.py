"""Copies of bytes of one unfinished upload into another: by the kernel, and by an object store."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest
from tests.storage.buckets import new_storage

from wherry.core.digests import crc64
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import Storage, Vanished, Whole
from wherry.storage.copying import copy_range
from wherry.storage.local import LocalStorage
from wherry.storage.s3.bucket import Bucket, Features
from wherry.storage.s3.errors import S3Error
from wherry.testing.s3 import S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
DATA = random.Random(3).randbytes(3 * PART + 4321)


def piece_of(storage: Storage, name: str, data: bytes) -> Whole:
    upload_id = name * 22
    storage.reserve(upload_id, len(data))
    with storage.open(upload_id, Range(0, len(data))) as writer:
        for at in range(0, len(data), 256 * KiB):
            writer.write(at, memoryview(data)[at : at + 256 * KiB])
        writer.sync()
    return Whole(upload_id, len(data), crc64(data))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that were made to the store."""
    made: list[str] = []
    call = Bucket.call

    def note(self: Bucket, operation: str, *args: Any, **more: Any) -> dict[str, Any]:
        made.append(operation)
        return call(self, operation, *args, **more)

    monkeypatch.setattr(Bucket, "call", note)
    return made


def joined(storage: Storage, cut: int) -> bytes:
    """`DATA`, from two pieces that meet at `cut`."""
    halves = (("a", DATA[:cut]), ("b", DATA[cut:]))
    pieces = [piece_of(storage, name, data) for name, data in halves if data]
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    at = 0
    for piece in pieces:
        storage.copy(piece, Range(0, piece.length), UPLOAD, at)
        at += piece.length
    assert storage.head(UPLOAD, 100) == DATA[:100]
    with storage.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA)).open() as opened:
        return opened.read()


@pytest.mark.parametrize(("cut", "copied"), [(2 * PART, 4), (PART + 1, 3), (100, 3), (0, 4)])
def test_a_store_copies_whole_parts_itself(
    s3_server: S3Server, asked: list[str], cut: int, copied: int
) -> None:
    """Only a part with two sources, or a source of one part, goes through this process."""
    storage = new_storage(s3_server)
    # versitygw copies, and takes the checksum of the whole object for that of the part.
    storage.bucket.features = Features(verifies=False, verifies_parts=False)
    assert joined(storage, cut) == DATA
    assert asked.count("upload_part_copy") == copied


def test_a_store_that_copies_a_wrong_checksum_is_not_trusted(
    s3_server: S3Server, asked: list[str]
) -> None:
    assert joined(new_storage(s3_server), 2 * PART) == DATA
    assert asked.count("upload_part_copy") == 1


@pytest.mark.parametrize("code", ["NotImplemented", "AccessDenied"])
def test_where_a_store_does_not_copy_bytes_are_read_and_written(
    s3_server: S3Server, asked: list[str], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    call = Bucket.call

    def refuse(self: Bucket, operation: str, *args: Any, **more: Any) -> dict[str, Any]:
        answer = call(self, operation, *args, **more)
        if operation == "upload_part_copy":
            raise S3Error(errno.EIO, "no", "", code)
        return answer

    monkeypatch.setattr(Bucket, "call", refuse)
    assert joined(new_storage(s3_server), 2 * PART) == DATA
    assert asked.count("upload_part_copy") == (1 if code == "NotImplemented" else 4)


def test_a_store_that_tells_no_checksum_of_a_copy_is_not_trusted(
    s3_server: S3Server, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Bucket.call

    def forget(self: Bucket, operation: str, *args: Any, **more: Any) -> dict[str, Any]:
        answer = call(self, operation, *args, **more)
        if operation == "upload_part_copy":
            answer["CopyPartResult"].pop("ChecksumCRC64NVME", None)
        return answer

    monkeypatch.setattr(Bucket, "call", forget)
    assert joined(new_storage(s3_server), 2 * PART) == DATA
    assert asked.count("upload_part_copy") == 1


def test_another_process_finishes_what_was_copied(s3_server: S3Server) -> None:
    one = new_storage(s3_server)
    two = new_storage(s3_server, prefix=one.bucket.place.prefix)
    piece = piece_of(one, "a", DATA)
    one.reserve(UPLOAD, len(DATA), ".mp4")
    one.copy(piece, Range(0, 2 * PART), UPLOAD, 0)
    two.copy(piece, Range(2 * PART, len(DATA)), UPLOAD, 2 * PART)
    two.copy(piece, Range(PART, 2 * PART), UPLOAD, PART)
    with two.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA)).open() as opened:
        assert opened.read() == DATA


# On a disk.


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, 0])
def test_where_the_kernel_does_not_copy_bytes_are_read_and_written(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        if number:
            raise OSError(number, os.strerror(number))
        return 0

    monkeypatch.setattr("wherry.storage.copying.os.copy_file_range", refuse)
    assert joined(local, PART + 1) == DATA


def test_a_full_disk_is_no_reason_to_try_it_another_way(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("wherry.storage.copying.os.copy_file_range", refuse)
    with pytest.raises(OSError, match="No space"):
        joined(local, PART)


def test_a_file_that_is_too_short_is_not_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"short")
    with (
        source.open("rb") as read,
        target.open("wb") as write,
        pytest.raises(OSError, match="left"),
    ):
        copy_range(read.fileno(), Range(0, 6), write.fileno(), 0)


def test_a_copy_into_a_folder_that_was_removed_does_not_count(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = piece_of(local, "a", DATA[:1000])
    local.reserve(UPLOAD, 0, ".mp4")

    def remove(*args: Any) -> None:
        copy_range(*args)
        local.delete(UPLOAD)

    monkeypatch.setattr("wherry.storage.writer.copy_range", remove)
    with pytest.raises(Vanished):
        local.copy(piece, Range(0, 1000), UPLOAD, 0)
