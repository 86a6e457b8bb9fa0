"""One unfinished upload in the store: its parts, its fragments, its completion.

Rule 1: every method may be called again, and by several processes at the same time, and comes to
the same result.

Rule 2: an upload has vanished only if its multipart upload is gone and its object is not there,
asked in this order: completing makes the object before the multipart upload goes. versitygw (1.8.0)
hides the multipart upload before it makes the object, so both are asked for again (`PAUSES`).

Rule 3: an object of the final name is ours only if it has our token.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from time import sleep

from wherry.core.place import CHECKSUM_HEADER
from wherry.core.ranges import Range
from wherry.storage import HEAD_SIZE, PartAddress, StoredPart, Vanished
from wherry.storage.s3 import parts
from wherry.storage.s3.bucket import MOST_LISTED, Bucket, Found, as_number, as_text
from wherry.storage.s3.errors import DAMAGED, EXISTS, NO_UPLOAD, S3Error
from wherry.storage.s3.fragments import Fragments, rows_from
from wherry.storage.s3.markers import Marker
from wherry.storage.s3.parts import Fragment
from wherry.storage.s3.remembered import UploadedPart

#: A part may be replaced by the same bytes while its object is being made; then it is tried again.
TRIES = 3
#: Seconds between the questions whether the object is there, when the multipart upload is gone.
PAUSES = (0.1, 0.3, 0.6, 1.0, 2.0)


class Multipart:
    def __init__(self, bucket: Bucket, upload_id: str, marker: Marker) -> None:
        self.upload_id = upload_id
        self.marker = marker
        self.fragments = Fragments(bucket, upload_id, marker.token)
        self._bucket = bucket
        self._key = marker.file(upload_id)
        #: By which `Bucket.sent` knows the upload.
        self._sent_as = marker.multipart or marker.token

    # Bytes.

    def part_of(self, at: int) -> Range:
        """The part that has byte `at`."""
        size = self.marker.part_size
        number = parts.number_of(at, size)
        # A byte beyond what was reserved is in a part of full size.
        length = self.marker.length if at < self.marker.length else number * size
        return parts.part_at(number, size, length)

    def number_of(self, at: int) -> int:
        return parts.number_of(at, self.marker.part_size)

    def put_part(self, within: Range, data: memoryview, crc: int) -> None:
        """Keep a whole part. Raises `OSError`; `Vanished` if the multipart upload is gone."""
        if within.start == 0:
            # First, because a part cannot be read. A crash here leaves the head of bytes that are
            # not recorded.
            self.fragments.put_head(bytes(data[:HEAD_SIZE]))
        number = self.number_of(within.start)
        with self._gone():
            self._bucket.put_part(self._key, self.marker.multipart, number, data, len(within), crc)

    def copy_part(self, within: Range, source: str, start: int, crc: int) -> bool:
        """Make a whole part of the bytes of the object `source`, from byte `start` on.

        `crc`: of the whole object. False if the store cannot copy them. Raises `OSError`,
        `Vanished`.
        """
        number, taken = self.number_of(within.start), Range(start, start + len(within))
        upload = self.marker.multipart
        with self._gone():
            if not self._bucket.copy_part(self._key, upload, number, source, taken, crc):
                return False
        if within.start == 0:
            head = Range(start, start + min(len(within), HEAD_SIZE))
            self.fragments.put_head(self._bucket.read(source, head))
        return True

    def put_fragment(self, fragment: Fragment, data: memoryview) -> None:
        """Keep some bytes of a part. Raises `OSError`."""
        self._bucket.sent.add_fragment(self._sent_as)
        self.fragments.put(self.number_of(fragment.start), fragment, data)

    def assemble(self, within: Range, *, is_last_chance: bool) -> bool:
        """Put a part together from its fragments, if they are all there. Raises `OSError`.

        Returns whether the part is there now. `is_last_chance`: do it even if another process is
        at it.
        """
        number = self.number_of(within.start)
        found, is_assembling = self.fragments.of(number)
        row = parts.tiling(found, within)
        if row is None or (is_assembling and not is_last_chance):
            return False
        if not is_last_chance and not self.fragments.claim(number):
            return False
        self._bucket.sent.add_fragment(self._sent_as)
        # A crash from here on leaves the fragments: completion puts them together.
        if within.start == 0:
            self.fragments.put_head(self.fragments.head_of(row, HEAD_SIZE))
        with closing(self.fragments.stream(number, row)) as stream:
            crc = parts.crc_of(row)
            with self._gone():
                self._bucket.put_part(
                    self._key, self.marker.multipart, number, stream, len(within), crc
                )
        # A crash here leaves part and fragments; both have the same bytes.
        with suppress(OSError):
            self.fragments.delete(number, row)
        return True

    def head(self, size: int) -> bytes:
        """The first bytes that can be read, at most `size`."""
        kept = self._kept_head(min(size, HEAD_SIZE))
        if kept is not None or not self.marker.length:
            return kept or b""
        row = rows_from(self.fragments.of(1)[0], Range(0, min(size, self.part_of(0).end)))
        return self.fragments.head_of(row, size)

    def _kept_head(self, size: int) -> bytes | None:
        return self.fragments.head(size)

    def address(self, within: Range, crc: int, lifetime: int) -> PartAddress:
        """Where a client may send this part itself. Raises `ValueError` for what is no part."""
        if within != self.part_of(within.start):
            raise ValueError(f"{within} is no part")
        url = self._bucket.presigned(
            "upload_part",
            self._key,
            lifetime,
            UploadId=self.marker.multipart,
            PartNumber=self.number_of(within.start),
            ContentLength=len(within),
            ChecksumCRC64NVME=as_text(crc),
        )
        return PartAddress(url, "PUT", {CHECKSUM_HEADER: as_text(crc)})

    def stored(self, numbers: Iterable[int]) -> dict[int, StoredPart]:
        """Those of these parts that are there. Raises `Vanished`, `OSError`."""
        wanted, found = sorted(set(numbers)), dict[int, StoredPart]()
        while wanted:
            # Parts that are near each other are asked for at once, with those between them.
            first = wanted[0]
            near = [number for number in wanted if number < first + MOST_LISTED]
            wanted = wanted[len(near) :]
            with self._gone():
                parts_there = self._bucket.parts(self._key, self.marker.multipart, first, near[-1])
            for number in near:
                part = parts_there.get(number)
                if part is not None and part.crc is not None:
                    found[number] = StoredPart(part.size, as_number(part.crc))
        return found

    # The object.

    def complete(self, length: int, crc: int | None) -> bool:
        """Make the finished object of `length` bytes. Raises `Vanished`, `OSError`.

        Returns whether this process has sent every byte as a part. Then `left` is all that is left
        in the store, or other processes have left fragments, which the sweep finds.
        """
        if not length:
            self._complete_empty()
            return False
        size = self.marker.part_size
        count = parts.count(length, size)
        ranges = {n: parts.part_at(n, size, length) for n in range(1, count + 1)}
        sent, had_fragments = self._bucket.sent.of(self._sent_as)
        is_sent = not _lacking(ranges, sent)
        try:
            if is_sent:
                with suppress(_Replaced):
                    is_made = self._make([sent[number] for number in ranges], length, crc)
                    return is_made and not had_fragments
            for _ in range(TRIES):
                with suppress(_Replaced):
                    self._try_to_complete(ranges, length, crc)
                    return False
        finally:
            self._bucket.sent.forget(self._sent_as)
        raise OSError(errno.EAGAIN, "the parts of the upload change while it is completed")

    @property
    def left(self) -> list[str]:
        """The keys of what a completed upload leaves, but for the marker."""
        return [self.fragments.head_key]

    def _complete_empty(self) -> None:
        if not self._bucket.put_new(self._key, b"", 0, self.marker.token):
            raise self.taken()

    def _try_to_complete(self, ranges: Mapping[int, Range], length: int, crc: int | None) -> None:
        there = self._parts()
        if there is None:
            return self._check_completed(length)
        if lacking := _lacking(ranges, there):
            self._assemble_all(lacking)
            there = self._parts()
            if there is None:
                return self._check_completed(length)
        try:
            chosen = [there[number] for number in ranges]
        except KeyError as error:
            raise _Replaced from error
        self._make(chosen, length, crc)
        return None

    def _make(self, chosen: Sequence[UploadedPart], length: int, crc: int | None) -> bool:
        """Make the object of these parts; False if it was made before. Raises `_Replaced`."""
        if not self._bucket.features.is_conditional and self._bucket.head(self._key) is not None:
            self._check_completed(length)
            return False
        try:
            is_made = self._bucket.complete(self._key, self.marker.multipart, chosen, length, crc)
        except FileNotFoundError:
            self._check_completed(length)
            return False
        except S3Error as error:
            if error.code == NO_UPLOAD or error.code in EXISTS:
                self._check_completed(length)
                return False
            if error.code == "InvalidPart":
                raise _Replaced from error
            if error.code in DAMAGED:
                raise self._different(error.code) from error
            raise
        if not is_made:
            self._check_completed(length)
        return is_made

    def _parts(self) -> dict[int, UploadedPart] | None:
        """The parts that are there; None if the multipart upload is gone."""
        try:
            return self._bucket.parts(self._key, self.marker.multipart)
        except FileNotFoundError:
            self._bucket.verify()
            return None
        except S3Error as error:
            if error.code != NO_UPLOAD:
                raise
            return None

    def _assemble_all(self, lacking: Iterable[Range]) -> None:
        missing = 0
        for within in lacking:
            try:
                is_there = self.assemble(within, is_last_chance=True)
            except FileNotFoundError:  # another process has just deleted the fragments
                is_there = True
            missing += 0 if is_there else len(within)
        if missing:
            raise self._lacking_bytes(missing)

    def _lacking_bytes(self, most: int) -> BytesLacking:
        sentence = f"up to {most} bytes are missing in the object store"
        return BytesLacking(errno.EIO, sentence, self._bucket.where(self._key))

    def _check_completed(self, length: int) -> None:
        """Wait until our object is there. Raises `Vanished`, `OSError` if it is not.

        Called when the multipart upload is gone, or is being completed for another request. Raises
        `_Replaced` if it is there again.
        """
        pauses = iter(PAUSES)
        while (found := self._bucket.head(self._key)) is None:
            if self._parts() is not None:  # it was being completed for another request, and failed
                raise _Replaced
            pause = next(pauses, None)
            if pause is None:
                raise Vanished(self.upload_id)
            sleep(pause)
        if not self.is_ours(found):
            raise self.taken()
        if found.size != length:
            raise self._of_another_size(found, length)

    def _of_another_size(self, found: Found, length: int) -> OSError:
        sentence = f"the object has {found.size} bytes, and not {length}"
        return OSError(errno.EIO, sentence, self._bucket.where(self._key))

    def found(self) -> Found | None:
        """The object of the final name, whoever made it."""
        return self._bucket.head(self._key)

    def is_ours(self, found: Found) -> bool:
        return found.token == self.marker.token

    def taken(self) -> FileExistsError:
        sentence = "another object has the name of the finished one"
        return FileExistsError(errno.EEXIST, sentence, self._bucket.where(self._key))

    def _different(self, code: str) -> S3Error:
        sentence = (
            "the stored bytes are not those that were received, so the file is not made; nothing "
            "is deleted. The client has sent different bytes for the same place of the file: "
            "cancel the upload, and begin it again"
        )
        return S3Error(errno.EIO, sentence, self._bucket.where(self._key), code)

    def abort(self) -> None:
        """End the multipart upload; without effect if it has ended."""
        if self.marker.multipart:
            self._bucket.abort(self._key, self.marker.multipart)

    def _gone(self) -> _Gone:
        return _Gone(self.upload_id)


def _lacking(ranges: Mapping[int, Range], there: Mapping[int, UploadedPart]) -> list[Range]:
    """Those that are not there with their size."""
    return [r for n, r in ranges.items() if n not in there or there[n].size != len(r)]


class BytesLacking(OSError):
    """Bytes of the upload are not in the store, as far as this process knows."""


class _Replaced(Exception):
    """Another process has put the same part meanwhile."""


class _Gone:
    """Raises `Vanished` for the store's answer that there is no such multipart upload."""

    def __init__(self, upload_id: str) -> None:
        self._upload_id = upload_id

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, S3Error) and error.code == NO_UPLOAD:
            raise Vanished(self._upload_id) from error
