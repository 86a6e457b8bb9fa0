"""Which catalog the files in a bucket belong to, as an object beside them."""

from __future__ import annotations

from wherry.core.digests import crc64
from wherry.core.installation import NAME, Installation
from wherry.storage.s3.bucket import Bucket


class S3Installation:
    """The record below the bucket's prefix."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def read(self) -> Installation | None:
        """None: the files belong to no catalog yet. Raises `OSError`, `ValueError`."""
        try:
            return Installation.parse(self._bucket.read(NAME))
        except FileNotFoundError:
            self._bucket.verify()
            return None

    def write(self, installation: Installation, *, replace: bool = False) -> None:
        """Record it, unless there is a record; with `replace`, in any case. Raises `OSError`."""
        data = installation.encode()
        if replace:
            self._bucket.put(NAME, data, crc64(data))
        else:
            self._bucket.put_new(NAME, data, crc64(data), installation.catalog)
