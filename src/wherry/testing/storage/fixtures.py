"""What the checks share: bytes, how they are written and read, expected errors."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.core.ranges import Range
from wherry.storage import HEAD_SIZE, Storage, StoredFile, Writer

DATA = bytes(range(256)) * 1024
HALF = len(DATA) // 2


def new_id() -> str:
    return secrets.token_hex(16)


def reserve_new(storage: Storage, length: int = len(DATA), suffix: str = ".mp4") -> str:
    """Reserve space for a new upload that is to end with `suffix`, and return its id."""
    upload_id = new_id()
    storage.reserve(upload_id, length, suffix)
    return upload_id


def check_head(storage: Storage, upload_id: str, data: bytes = DATA) -> None:
    """The first bytes of the upload are those of `data`, as many as the storage has to keep."""
    head = storage.head(upload_id, len(data))
    least = HEAD_SIZE if storage.parts is not None else len(data)
    assert len(head) >= min(least, len(data))
    assert data.startswith(head)


def write(storage: Storage, upload_id: str, at: int, data: bytes) -> None:
    writer: Writer
    with storage.open(upload_id, Range(at, at + len(data))) as writer:
        writer.write(at, memoryview(data))
        writer.sync()


def read(file: StoredFile) -> bytes:
    with file.open() as opened:
        return opened.read()


def size(file: StoredFile) -> int:
    found = file.stat()
    assert found is not None
    return found.size


@contextmanager
def raises(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")
