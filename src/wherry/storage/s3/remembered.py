"""What this process knows of uploads because it has done it itself. It saves requests.

Rule 1: the store has the last word. A part that another process has replaced makes the store refuse
the completion; the parts are then listed. An object that was made at once is taken to be there for
`FRESH_FOR` seconds, and then asked for.

Rule 2: nothing here is needed. Whatever is forgotten is asked for.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

#: How many parts are remembered of all uploads together, and how many uploads.
MOST_PARTS, MOST_UPLOADS = 20_000, 10_000
#: For how long it is remembered what a completion has left, in seconds; and of how many uploads.
LEFT_FOR, MOST_LEFT = 5.0, 1000
#: For how long an object that was made is taken to be there, in seconds.
FRESH_FOR = 5.0


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """`crc`: as the store has it, in base64; None if it has none."""

    number: int
    size: int
    etag: str
    crc: str | None
    at: float = field(default_factory=time.monotonic, compare=False, kw_only=True)

    @property
    def is_fresh(self) -> bool:
        """Whether the store has just told of it."""
        return time.monotonic() - self.at <= FRESH_FOR


@dataclass(slots=True)
class _Sent:
    parts: dict[int, UploadedPart] = field(default_factory=dict)
    has_fragments: bool = False


class SentParts:
    """The parts that this process has sent, by the id of their multipart upload."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self._count = 0

    def add(self, multipart: str, part: UploadedPart) -> None:
        with self._lock:
            sent = self._sent.setdefault(multipart, _Sent())
            self._count += part.number not in sent.parts
            sent.parts[part.number] = part
            self._keep_within_bounds()

    def add_fragment(self, multipart: str) -> None:
        """Note that fragments of the upload may be left when it is complete."""
        with self._lock:
            self._sent.setdefault(multipart, _Sent()).has_fragments = True
            self._keep_within_bounds()

    def _keep_within_bounds(self) -> None:
        while self._count > MOST_PARTS or len(self._sent) > MOST_UPLOADS:
            _, oldest = self._sent.popitem(last=False)
            self._count -= len(oldest.parts)

    def of(self, multipart: str) -> tuple[Mapping[int, UploadedPart], bool]:
        """The parts by number, and whether there were fragments."""
        with self._lock:
            sent = self._sent.get(multipart)
            return ({}, True) if sent is None else (dict(sent.parts), sent.has_fragments)

    def forget(self, multipart: str) -> None:
        with self._lock:
            sent = self._sent.pop(multipart, None)
            self._count -= 0 if sent is None else len(sent.parts)


class Left:
    """The keys that are left of uploads that this process has just completed.

    Only for a moment: an upload of the same name may be begun anew.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._left: OrderedDict[str, tuple[Sequence[str], float]] = OrderedDict()

    def add(self, upload_id: str, keys: Sequence[str]) -> None:
        with self._lock:
            self._left[upload_id] = keys, time.monotonic()
            self._left.move_to_end(upload_id)
            if len(self._left) > MOST_LEFT:
                self._left.popitem(last=False)

    def take(self, upload_id: str) -> Sequence[str] | None:
        with self._lock:
            keys, since = self._left.pop(upload_id, (None, 0.0))
        return keys if time.monotonic() - since <= LEFT_FOR else None
