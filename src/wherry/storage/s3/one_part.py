"""An upload of one part: where its bytes come at once, its part is the finished object.

So a small file that comes in one chunk takes three requests: its marker, its object, and the end of
the marker. A multipart upload of one part would take three more.

Rule 1: the object is made only if there is none of its name. So a process that was paused cannot
change a file, whenever it wakes up.

Rule 2: nothing says whether the object counts but the record. It may be there before all bytes are
recorded, and after its upload was cancelled by another process: then the request that has made it
removes it (`engine/writing.py`), or the sweep when it forgets the record, or `reconcile`.

Rule 3: bytes that are no whole file, or not those of the object that is there, are fragments.
Completion puts them together, because only it knows the CRC that the object must have. It replaces
an object of this upload only if that has another CRC, and is still the one that it has seen.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from contextlib import closing

from wherry.core.ranges import Range
from wherry.storage import PartAddress, StoredPart
from wherry.storage.s3 import parts
from wherry.storage.s3.bucket import Found, as_number, as_text
from wherry.storage.s3.multipart import TRIES, BytesLacking, Multipart
from wherry.storage.s3.parts import Fragment
from wherry.storage.s3.remembered import UploadedPart


class OnePart(Multipart):
    def put_part(self, within: Range, data: memoryview, crc: int) -> None:
        """Make the object; where there is another one, keep a fragment. Raises `OSError`."""
        if self._bucket.put_new(self._key, data, crc, self.marker.token):
            # A crash here leaves an object whose bytes are not recorded.
            part = UploadedPart(1, len(within), "", as_text(crc))
            self._bucket.sent.add(self._sent_as, part)
        else:
            self.put_fragment(Fragment(within.start, within.end, crc), data)

    def assemble(self, within: Range, *, is_last_chance: bool) -> bool:
        """Nothing is put together before completion (rule 3)."""
        return False

    def _kept_head(self, size: int) -> bytes | None:
        return self._bucket.read_ours(self._key, self.marker.token, Range(0, size))

    def address(self, within: Range, crc: int, lifetime: int) -> PartAddress:
        """Raises `ValueError`: clients send no file of one part to the store."""
        raise ValueError(f"{within} is no part that a client sends to the store")

    def stored(self, numbers: Iterable[int]) -> dict[int, StoredPart]:
        """The part, if it is asked for and there. Raises `OSError`."""
        found = self.found() if 1 in numbers else None
        if found is None or found.crc is None or not self.is_ours(found):
            return {}
        return {1: StoredPart(found.size, as_number(found.crc))}

    def complete(self, length: int, crc: int | None) -> bool:
        """As `Multipart.complete`. Raises `OSError`."""
        if not length:
            self._complete_empty()
            return False
        sent, had_fragments = self._bucket.sent.of(self._sent_as)
        self._bucket.sent.forget(self._sent_as)
        part = sent.get(1)
        if part is None or not part.is_fresh or not _has(part, length, crc):
            self._find_or_make(length, crc)
        return part is not None and not had_fragments

    @property
    def left(self) -> list[str]:
        return []

    def _find_or_make(self, length: int, crc: int | None) -> None:
        """Find the object, or make it of fragments. Raises `OSError`."""
        lacking: BytesLacking | None = None
        for _ in range(TRIES):
            found = self.found()
            if found is not None and not self.is_ours(found):
                raise self.taken()
            if found is not None and _has(found, length, crc):
                return
            try:
                if self._make_of_fragments(found, length, crc):
                    return
            except BytesLacking as error:
                # Another process may have made the object, and deleted the fragments.
                lacking = error
            except FileNotFoundError:  # it has just deleted them
                continue
        raise lacking or OSError(
            errno.EAGAIN, "the bytes of the upload change while it is completed"
        )

    def _make_of_fragments(self, replaced: Found | None, length: int, crc: int | None) -> bool:
        """Whether it is made. Raises `BytesLacking`, `FileNotFoundError`, `OSError`."""
        row = parts.tiling(self.fragments.of(1)[0], Range(0, length))
        if row is None:
            if replaced is None:
                raise self._lacking_bytes(length)
            if replaced.size != length:
                raise self._of_another_size(replaced, length)
            raise self._different("")
        found = parts.crc_of(row)
        if crc is not None and found != crc:
            raise self._different("")
        with closing(self.fragments.stream(1, row)) as stream:
            return self._bucket.put_new(
                self._key, stream, found, self.marker.token, replaced, ContentLength=length
            )


def _has(found: Found | UploadedPart, length: int, crc: int | None) -> bool:
    return found.size == length and (crc is None or found.crc == as_text(crc))
