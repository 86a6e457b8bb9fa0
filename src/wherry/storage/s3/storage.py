"""Storage in a bucket: the port of `wherry.storage`, put together from this package.

Rule 1: `reserve` makes the multipart upload first, then the marker. A crash between the two leaves
a multipart upload that nothing names: a lifecycle rule of the bucket ends it, or `wherry
storage reconcile`. `delete` removes the marker last, or together with what else is left.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from wherry.core.digests import crc64
from wherry.core.errors import DiskFull
from wherry.core.limits import Limits
from wherry.core.place import FILES, Place
from wherry.core.ranges import Range
from wherry.storage import (
    CannotPut,
    Capabilities,
    PartAddress,
    StoredPart,
    Stray,
    Vanished,
    Whole,
)
from wherry.storage.names import check_suffix, check_upload_id
from wherry.storage.s3 import copying, fragments, parts
from wherry.storage.s3.arrival import S3Arrival
from wherry.storage.s3.bucket import PRESENT_FOR, Bucket
from wherry.storage.s3.checking import Checking
from wherry.storage.s3.file import S3File
from wherry.storage.s3.installation import S3Installation
from wherry.storage.s3.markers import Marker, Markers
from wherry.storage.s3.multipart import BytesLacking, Multipart
from wherry.storage.s3.one_part import OnePart
from wherry.storage.s3.pictures import S3Pictures
from wherry.storage.s3.reconcile import end_stray, strays
from wherry.storage.s3.remembered import Left
from wherry.storage.s3.writer import Memory, S3Writer

#: The default of the setting, in seconds.
EXPIRES_AFTER = Limits().expires_after


def find(bucket: Bucket, markers: Markers, upload_id: str, *, fresh: bool = False) -> Multipart:
    """The unfinished upload. Raises `Vanished`, `OSError`."""
    marker = markers.get(check_upload_id(upload_id), fresh=fresh)
    if marker is None or marker.is_arrival:
        raise Vanished(upload_id)
    kind = OnePart if marker.is_one_part else Multipart
    return kind(bucket, upload_id, marker)


class S3Parts:
    """As `wherry.storage.Parts`."""

    def __init__(self, bucket: Bucket, markers: Markers, *, is_direct: bool) -> None:
        self._bucket = bucket
        self._markers = markers
        self._is_direct = is_direct

    @property
    def takes_direct(self) -> bool:
        """Whether that is wanted, and the store can do it."""
        return self._is_direct and self._bucket.features.verifies_parts

    def address(self, upload_id: str, within: Range, crc: int, lifetime: int) -> PartAddress:
        """A presigned address. Raises `Vanished`, `OSError`, `ValueError`."""
        return self._find(upload_id).address(within, crc, lifetime)

    def stored(self, upload_id: str, numbers: Iterable[int]) -> dict[int, StoredPart]:
        """Those of these parts that are there. Raises `Vanished`, `OSError`."""
        numbers = tuple(numbers)
        try:
            return self._find(upload_id).stored(numbers)
        except Vanished:
            # What this process remembers may be out of date.
            self._markers.forget(upload_id)
            return self._find(upload_id).stored(numbers)

    def _find(self, upload_id: str) -> Multipart:
        """Raises `Vanished`."""
        return find(self._bucket, self._markers, upload_id)

    def size(self, length: int) -> int:
        return parts.part_size(length)

    def round_end(self, upload_id: str, at: int, most: int) -> int:
        """The end of a part, if one is near enough."""
        with suppress(OSError, ValueError):
            marker = self._markers.get(check_upload_id(upload_id))
            if marker is not None:
                return parts.round_end(at, most, marker.part_size)
        return at + most

    def strays(self, before: float) -> Iterator[Stray]:
        """Multipart uploads and finished objects that no marker names. Raises `OSError`."""
        return strays(self._bucket, self._markers, before)

    def end_stray(self, stray: Stray) -> None:
        """Abort it, or delete the object. Raises `OSError`."""
        end_stray(self._bucket, stray)


class S3Storage:
    """Storage below `place`, by a client of `connecting.connect`."""

    #: A request takes a lease of its range, and records only while it has it.
    capabilities = Capabilities(reserves=False, locks_ranges=False, durable=True)

    def __init__(
        self,
        client: Any,
        place: Place,
        *,
        public: Any = None,
        is_direct: bool = False,
        expires_after: float = EXPIRES_AFTER,
    ) -> None:
        """`public`: as `Bucket` has it. `is_direct`: whether clients may send parts themselves.

        `expires_after`: the setting, in seconds.
        """
        self.bucket = Bucket(client, place, public)
        self.markers = Markers(self.bucket)
        self._pictures = S3Pictures(self.bucket)
        self._parts = S3Parts(self.bucket, self.markers, is_direct=is_direct)
        self._checking = Checking(self.bucket, expires_after=expires_after, is_direct=is_direct)
        self._memory = Memory()
        self._left = Left()
        #: Which catalog the files belong to.
        self.installation = S3Installation(self.bucket)

    @property
    def pictures(self) -> S3Pictures:
        return self._pictures

    @property
    def parts(self) -> S3Parts:
        return self._parts

    # The bucket.

    def check(self) -> list[str]:
        """Try out what the store can do. Raises `OSError` where the bucket cannot be written."""
        return self._checking.check()

    def present(self) -> None:
        """Raises `OSError` while the bucket is not there, or was not two seconds ago."""
        self.bucket.verify(PRESENT_FOR)

    def space(self) -> None:
        """None: a bucket has no volume that could fill."""

    # Unfinished bytes.

    def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
        """Begin an upload; called again, keep the bytes that are there.

        Raises `NeverFits`, `DiskFull`, `OSError`.
        """
        check_upload_id(upload_id)
        check_suffix(suffix)
        size = parts.part_size(length)
        try:
            marker = Marker(suffix, length, size)
            if length > size or (length and not self.bucket.features.makes_at_once):
                multipart = self.bucket.begin(marker.file(upload_id), marker.token)
                marker = Marker(suffix, length, size, multipart, token=marker.token)
            # A crash here leaves a multipart upload that nothing names.
            try:
                is_ours = self.markers.create(upload_id, marker)
            except OSError:
                with suppress(OSError):
                    Multipart(self.bucket, upload_id, marker).abort()
                raise
            if not is_ours:  # it was reserved before, which is seldom
                with suppress(OSError):
                    Multipart(self.bucket, upload_id, marker).abort()
                if not self._is_reserved(upload_id):
                    raise OSError(errno.EAGAIN, "the upload is being deleted; ask again")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull from error
            raise

    def _is_reserved(self, upload_id: str) -> bool:
        marker = self.markers.get(upload_id, fresh=True)
        if marker is not None and marker.is_arrival:
            raise OSError(errno.EEXIST, "a file of this upload was just received in one request")
        return marker is not None

    def _find(self, upload_id: str, *, fresh: bool = False) -> Multipart:
        """Raises `Vanished`."""
        return find(self.bucket, self.markers, upload_id, fresh=fresh)

    def open(self, upload_id: str, within: Range) -> S3Writer:
        """Open a range for writing. Raises `Vanished`, `OSError`."""
        multipart = self._find(upload_id)

        def check() -> None:
            # What this process remembers may be out of date.
            now = self.markers.get(upload_id, fresh=True)
            if now is None or now.is_arrival:
                raise Vanished(upload_id)
            if now.token != multipart.marker.token:
                sentence = "the upload was begun anew meanwhile; send these bytes again"
                raise OSError(errno.EAGAIN, sentence)

        return S3Writer(multipart, within, self._memory, check)

    def copy(self, source: Whole, within: Range, upload_id: str, at: int) -> None:
        """Have the store copy what are whole parts. Raises `Vanished`, `OSError`."""
        file = self.unfinished_file(source.upload_id, source.length, source.crc)
        with self.open(upload_id, Range(at, at + len(within))) as writer:
            copying.copy(source, file, within, self._find(upload_id), at, writer)

    def head(self, upload_id: str, size: int) -> bytes:
        """The first bytes, at most `size` and `HEAD_SIZE`. Raises `Vanished`, `OSError`."""
        if not size:  # is it there?
            if self.markers.missing([check_upload_id(upload_id)]):
                raise Vanished(upload_id)
            return b""
        return self._find(upload_id).head(size)

    def vanished(self, upload_ids: Iterable[str]) -> frozenset[str]:
        """Those that have no marker, as it was half a minute ago at the latest."""
        return self.markers.missing(check_upload_id(upload_id) for upload_id in upload_ids)

    def unfinished_file(self, upload_id: str, length: int, crc: int | None = None) -> S3File:
        """Complete the multipart upload: before that, its parts cannot be read.

        Raises `Vanished`, `OSError`.
        """
        multipart = self._find(upload_id, fresh=True)
        self._make(multipart, length, crc)
        return self.finished_file(upload_id, multipart.marker.suffix)

    def _make(self, multipart: Multipart, length: int, crc: int | None) -> None:
        """Make the object. Raises `Vanished`, `OSError`."""
        if multipart.complete(length, crc):
            keys = (*multipart.left, self.markers.key(multipart.upload_id))
            self._left.add(multipart.upload_id, keys)

    def unfinished(self) -> Iterator[tuple[str, float]]:
        """Every upload that has a marker, and fragments without one; since when (Unix seconds)."""
        there = set()
        for name, at in self.markers.all():
            with suppress(ValueError):
                there.add(check_upload_id(name))
                yield name, at
        # A request that was on its way may have put a fragment after its upload was deleted.
        for name in self.bucket.folders(fragments.FOLDER):
            with suppress(ValueError):
                if check_upload_id(name) not in there:
                    first = next(self.bucket.list(f"{fragments.FOLDER}{name}/", 1), None)
                    if first is not None:
                        yield name, first[1]

    def delete(self, upload_id: str) -> None:
        """Remove the unfinished bytes, if there are any. Raises `OSError`."""
        if (left := self._left.take(upload_id)) is not None:
            self.markers.forget(upload_id)
            self.bucket.delete(left)
            self.markers.forget(upload_id)  # a thread may have read it meanwhile
            return
        marker = self.markers.get(check_upload_id(upload_id), fresh=True)
        if marker is not None and marker.is_arrival:
            return
        if marker is not None:
            Multipart(self.bucket, upload_id, marker).abort()
        # A crash here, or a fragment that still comes, leaves something that `unfinished` lists.
        rest = [key for key, _, _ in self.bucket.list(f"{fragments.FOLDER}{upload_id}/")]
        self.bucket.delete(rest)
        self.markers.remove(upload_id)

    # Finished files.

    def put(self, upload_id: str, suffix: str, data: Sequence[memoryview]) -> S3Arrival:
        """Make the finished object at once. Raises `CannotPut`, `DiskFull`, `OSError`."""
        check_upload_id(upload_id)
        whole = b"".join(data)
        marker = Marker(check_suffix(suffix), len(whole), is_arrival=True)
        arrival = S3Arrival(self.bucket, self.markers, upload_id, marker)
        try:
            if not self.markers.create(upload_id, marker):
                raise CannotPut(upload_id)
            # A crash from here on leaves the marker: `reclaim` finds it.
            try:
                key = marker.file(upload_id)
                if not self.bucket.put_new(key, whole, crc64(whole), marker.token):
                    raise CannotPut(upload_id)
            except BaseException:
                with suppress(OSError):
                    arrival.drop()
                raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull from error
            raise
        return arrival

    def reclaim(self, upload_id: str) -> S3Arrival | None:
        """What `put` has left; None if there is nothing. Raises `OSError`."""
        marker = self.markers.get(check_upload_id(upload_id), fresh=True)
        if marker is None or not marker.is_arrival:
            return None
        return S3Arrival(self.bucket, self.markers, upload_id, marker)

    def link(self, upload_id: str, suffix: str, length: int, crc: int | None = None) -> bool:
        """Make the object, and keep the marker. Raises `Vanished`, `OSError` as `finish` does."""
        file = self.finished_file(upload_id, suffix)
        try:
            try:
                self._make(self._find_for(upload_id, suffix), length, crc)
            except (Vanished, BytesLacking, FileExistsError, ValueError):
                # What this process remembers may be out of date.
                self._make(self._find_for(upload_id, suffix, fresh=True), length, crc)
        except Vanished:
            if file.stat() is None:
                raise
        # A crash here leaves the object and the marker. Called again, this finds the object.
        return True

    def finish(self, upload_id: str, suffix: str, length: int, crc: int | None = None) -> S3File:
        """Make the object, and remove what is left of the upload. Raises `Vanished`, `OSError`."""
        file = self.finished_file(upload_id, suffix)
        try:
            multipart = self._find_for(upload_id, suffix, fresh=True)
        except Vanished:
            if file.stat() is None:
                raise
            return file
        found = multipart.found()
        if found is None or multipart.is_ours(found):
            self._make(multipart, length, crc)
        # Any other object that has the name keeps it: this upload was reserved late.
        elif found.size != length:
            raise multipart.taken()
        # What is left by a crash here, or an error, is the sweep's: the file is finished.
        with suppress(OSError):
            self.delete(upload_id)
        return file

    def _find_for(self, upload_id: str, suffix: str, *, fresh: bool = False) -> Multipart:
        """Raises `Vanished`, `OSError`; `ValueError` for another suffix."""
        multipart = self._find(upload_id, fresh=fresh)
        if multipart.marker.suffix != suffix:
            raise ValueError(f"the upload was reserved for the suffix {multipart.marker.suffix!r}")
        return multipart

    def finished_file(self, upload_id: str, suffix: str) -> S3File:
        """The file that `link` or `finish` makes."""
        return S3File(self.bucket, f"{FILES}{check_upload_id(upload_id)}{check_suffix(suffix)}")

    def discard(self, upload_id: str, suffix: str) -> None:
        """Remove the finished object; without effect if there is none. Raises `OSError`."""
        self.bucket.delete([self.finished_file(upload_id, suffix).key])
