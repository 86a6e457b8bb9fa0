"""Markers: what every process has to know of an unfinished upload, in one small object.

Rule 1: a marker is made once and never changed. Where two processes make one at the same time, the
first one counts.

Rule 2: a marker that was read before may be out of date: the upload was deleted, or begun anew.
The token tells: whoever finds the multipart upload gone compares it with that of a fresh marker.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from threading import Lock

from wherry.core.digests import crc64
from wherry.core.place import FILES
from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.errors import S3Error

FOLDER = "unfinished/"
#: How long a marker that was read is used, in seconds; and how long it is taken to be there still.
FRESH = 30.0
#: How many markers are remembered.
REMEMBERED = 10_000


def new_token() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Marker:
    """`multipart`: the id of the multipart upload; empty for a file that needs none.

    `part_size`, `length`: as reserved, in bytes. `is_arrival`: the file came in one request
    (arrival.py).
    """

    suffix: str
    length: int = 0
    part_size: int = 1
    multipart: str = ""
    is_arrival: bool = False
    token: str = field(default_factory=new_token)

    @property
    def is_one_part(self) -> bool:
        """Whether the object is made at once, without a multipart upload (one_part.py)."""
        return bool(self.length) and not self.multipart and not self.is_arrival

    def file(self, upload_id: str) -> str:
        """The key of the finished file."""
        return f"{FILES}{upload_id}{self.suffix}"


class Markers:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._lock = Lock()
        self._known: OrderedDict[str, tuple[Marker, float]] = OrderedDict()
        self._seen: dict[str, float] = {}
        self._listed_at = float("-inf")

    def get(self, upload_id: str, *, fresh: bool = False) -> Marker | None:
        """None if there is none. `fresh`: as it is now, and not as it was read before."""
        now = time.monotonic()
        if not fresh:
            with self._lock:
                known = self._known.get(upload_id)
            if known is not None and now - known[1] <= FRESH:
                return known[0]
        try:
            data = self._bucket.read(FOLDER + upload_id)
        except FileNotFoundError:
            self.forget(upload_id)
            return None
        try:
            marker = Marker(**json.loads(data))
        except (ValueError, TypeError) as error:
            where = self._bucket.where(FOLDER + upload_id)
            raise S3Error(5, "the marker of an unfinished upload cannot be read", where) from error
        self._remember(upload_id, marker, now)
        return marker

    def create(self, upload_id: str, marker: Marker) -> bool:
        """Make the marker; False if there is another one."""
        data = json.dumps(asdict(marker)).encode()
        if not self._bucket.put_new(FOLDER + upload_id, data, crc64(data), marker.token):
            return False
        self._remember(upload_id, marker, time.monotonic())
        return True

    @staticmethod
    def key(upload_id: str) -> str:
        return FOLDER + upload_id

    def remove(self, upload_id: str) -> None:
        self.forget(upload_id)
        self._bucket.delete([FOLDER + upload_id])
        self.forget(upload_id)  # a thread may have read it meanwhile

    def forget(self, upload_id: str) -> None:
        with self._lock:
            self._known.pop(upload_id, None)
            self._seen.pop(upload_id, None)

    def missing(self, upload_ids: Iterable[str]) -> frozenset[str]:
        """Those that have no marker, as known half a minute ago at the latest.

        One listing answers for all uploads, so that asking every second costs next to nothing.
        """
        return frozenset(id_ for id_ in upload_ids if not self._is_there(id_))

    def _is_there(self, upload_id: str) -> bool:
        now = time.monotonic()
        with self._lock:
            is_seen = now - self._seen.get(upload_id, float("-inf")) <= FRESH
            is_due = now - self._listed_at > FRESH
        if is_seen:
            return True
        if is_due:
            there = {id_: now for id_, _ in self.all()}
            with self._lock:
                self._seen, self._listed_at = there, now
            if upload_id in there:
                return True
        return self.get(upload_id, fresh=True) is not None

    def all(self) -> Iterator[tuple[str, float]]:
        """Every marker: the upload, and when it began (Unix seconds)."""
        for key, at, _ in self._bucket.list(FOLDER):
            yield key.removeprefix(FOLDER), at

    def _remember(self, upload_id: str, marker: Marker, now: float) -> None:
        with self._lock:
            self._known[upload_id] = marker, now
            self._known.move_to_end(upload_id)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            self._seen[upload_id] = now
