"""What is left in the bucket of uploads that have ended, and of trying out the store.

Rule 1: what a marker names is left to the sweep, which knows the records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from wherry.core.place import FILES, PROBES
from wherry.storage import Stray
from wherry.storage.names import check_suffix, check_upload_id
from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.markers import Marker, Markers


def strays(bucket: Bucket, markers: Markers, before: float) -> Iterator[Stray]:
    """Multipart uploads that no marker names, then objects of uploads that have no marker.

    Then what `Checking` has left. Only what is older than `before` (Unix seconds). Raises
    `OSError`.
    """
    for key, multipart, begun_at in bucket.uploads(FILES):
        if (names := _names(key)) is None or begun_at > before:
            continue
        marker = _marker(markers, names[0])
        if marker is None or marker.multipart != multipart:
            yield Stray(key, *names, 0, begun_at, multipart)
    for key, begun_at, size in bucket.list(FILES):
        if (names := _names(key)) is None or begun_at > before:
            continue
        # Of one that has a marker, the record may be about to be made.
        if _marker(markers, names[0]) is None:
            yield Stray(key, *names, size, begun_at)
    yield from _of_probes(bucket, before)


def _of_probes(bucket: Bucket, before: float) -> Iterator[Stray]:
    for key, multipart, begun_at in bucket.uploads(PROBES):
        if begun_at <= before:
            yield Stray(key, None, "", 0, begun_at, multipart)
    for key, begun_at, size in bucket.list(PROBES):
        if begun_at <= before:
            yield Stray(key, None, "", size, begun_at)


def end_stray(bucket: Bucket, stray: Stray) -> None:
    """Remove it. Raises `OSError`."""
    if stray.multipart is None:
        bucket.delete([stray.key])
    else:
        bucket.abort(stray.key, stray.multipart)


def _marker(markers: Markers, upload_id: str) -> Marker | None:
    if markers.missing([upload_id]):
        return None
    return markers.get(upload_id, fresh=True)


def _names(key: str) -> tuple[str, str] | None:
    """Upload id and suffix; None for a key that is none of ours."""
    name, dot, ending = key.removeprefix(FILES).partition(".")
    with suppress(ValueError):
        return check_upload_id(name), check_suffix(f"{dot}{ending}")
    return None
