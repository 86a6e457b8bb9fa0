"""A whole file that comes at once: it has its object before it has a record.

Rule 1: the marker is made first and removed last. So an object of which a crash left no record is
found without listing all of `files`.

Rule 2: the object is removed only if it has the token of the marker: another file may have had the
name when this one came.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.markers import Marker, Markers


class S3Arrival:
    def __init__(self, bucket: Bucket, markers: Markers, upload_id: str, marker: Marker) -> None:
        self._bucket = bucket
        self._markers = markers
        self._upload_id = upload_id
        self._marker = marker

    def keep(self) -> None:
        """The record is safe, so the file is finished. Raises `OSError`."""
        self._markers.remove(self._upload_id)

    def drop(self, recorded: str | None = None) -> None:
        """Remove the object, unless its suffix is the one that is recorded. Raises `OSError`."""
        if recorded != self._marker.suffix:
            key = self._marker.file(self._upload_id)
            found = self._bucket.head(key)
            if found is not None and found.token == self._marker.token:
                self._bucket.delete([key])
        # A crash here leaves the marker: `reclaim` finds it.
        self._markers.remove(self._upload_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
