"""Bytes of one unfinished upload are put into another.

Rule 1: parts cannot be read, so the upload that they come from is made an object first, under the
name that its finished file would have. Its record says that it is no finished file.

Rule 2: a part of the other upload that lies inside of what is copied, and is not all of it, is
copied by the store (UploadPartCopy). Only the rest goes through this process: the bytes of parts
that have two sources, small files, and everything where the store does not copy parts.
"""

from __future__ import annotations

import errno

from wherry.core.ranges import Range
from wherry.storage import Whole
from wherry.storage.s3.file import S3File
from wherry.storage.s3.multipart import Multipart
from wherry.storage.s3.writer import S3Writer


def copy(  # noqa: PLR0917 - two places
    source: Whole, file: S3File, within: Range, target: Multipart, at: int, writer: S3Writer
) -> None:
    """Put the bytes `within` of `source` into `target`, from byte `at` on, and sync.

    `file`: the object of `source`. `writer`: open for these bytes of `target`. Raises `Vanished`,
    `OSError`.
    """
    end, shift = at + len(within), within.start - at
    while at < end:
        part = target.part_of(at)
        wanted = Range(at, min(part.end, end))
        if wanted != part or not _is_copied(source, file, target, part, at + shift):
            for block in file.read(Range(wanted.start + shift, wanted.end + shift)):
                writer.write(at, memoryview(block))
                at += len(block)
            if at < wanted.end:
                where = file.bucket.where(file.key)
                raise OSError(errno.EIO, "the object ends early", where)
        at = wanted.end
    writer.sync()


def _is_copied(source: Whole, file: S3File, target: Multipart, part: Range, start: int) -> bool:
    # A file of one part needs no multipart upload (one_part.py). Of a copy of the whole object, no
    # checksum would show that the store takes that of the object for it.
    can_be = target.marker.multipart and len(part) < source.length
    return bool(can_be) and target.copy_part(part, file.key, start, source.crc)
