"""Copies of bytes of one unfinished upload into another."""

from __future__ import annotations

from wherry.core.digests import crc64
from wherry.core.ranges import Range
from wherry.storage import Storage, Vanished, Whole
from wherry.testing.storage.fixtures import (
    DATA,
    HALF,
    check_head,
    new_id,
    raises,
    read,
    reserve_new,
    write,
)


def copied_bytes_make_a_whole_file(storage: Storage) -> None:
    """In any number of copies, and if some of them are made again."""
    upload_id, at = reserve_new(storage, len(DATA) if storage.parts else 0), 0
    for piece in (DATA[:1000], DATA[1000 : HALF + 7], DATA[HALF + 7 :]):
        source = reserve_new(storage, len(piece), "")
        write(storage, source, 0, piece)
        whole, middle = Whole(source, len(piece), crc64(piece)), len(piece) // 2
        for within in (Range(0, middle), Range(middle, len(piece)), Range(middle, len(piece))):
            storage.copy(whole, within, upload_id, at + within.start)
        storage.discard(source, "")
        storage.delete(source)
        at += len(piece)
    check_head(storage, upload_id)
    assert read(storage.finish(upload_id, ".mp4", len(DATA), crc64(DATA))) == DATA
    assert list(storage.unfinished()) == []


def a_copy_needs_both_uploads(storage: Storage) -> None:
    source, gone = reserve_new(storage), new_id()
    write(storage, source, 0, DATA)
    with raises(Vanished):
        storage.copy(Whole(source, len(DATA), crc64(DATA)), Range(0, 10), gone, 0)
    with raises(Vanished):
        storage.copy(Whole(gone, len(DATA), crc64(DATA)), Range(0, 10), source, 0)
