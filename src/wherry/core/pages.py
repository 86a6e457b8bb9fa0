"""Lists in pages: how long a page is, and where the next one begins.

Rule 1: a list is in the order of its records' cursors, and a record's cursor never changes.
Records that are added or deleted while a client reads page after page move nothing: no
record appears twice, none is skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

T = TypeVar("T")

#: How many records a page has by default, and at most.
PAGE, LARGEST_PAGE = 100, 1000
#: A page of uploads ends early after this many parts; one upload may have 10,000.
PARTS_ON_PAGE = 20_000

_CURSOR = re.compile(r"(-?[0-9.e-]{1,30})_([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, order=True, slots=True)
class Cursor:
    """The position of a record in its list: `at` (by the deadline clock), then its id.

    It stays valid after the record is deleted.
    """

    at: float
    id: str

    def __str__(self) -> str:
        return f"{self.at!r}_{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises `ValueError`."""
        if (found := _CURSOR.fullmatch(text)) is None or not math.isfinite(float(found[1])):
            raise ValueError("not a cursor")
        return cls(float(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list to read: at most `limit` records that follow `after`.

    `after` None: start with the oldest record, or with the newest one if `newest`.
    """

    after: Cursor | None = None
    limit: int = LARGEST_PAGE
    newest: bool = False


#: The largest page, from the beginning of the list.
FIRST_PAGE = PageRequest()


class Page(list[T]):
    """Some records of a list, in its order. `next`: the cursor that the next page follows.

    `next` is None on the last page. A page may have fewer records than were asked for.
    """

    def __init__(self, records: Iterable[T] = (), next_: Cursor | None = None) -> None:
        super().__init__(records)
        self.next = next_
