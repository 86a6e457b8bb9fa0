"""Lists in pages: how long a page is, and where the next one begins.

Rule 1: a list is in the order of its records' marks, and a mark never changes. What comes
or goes while somebody walks a list moves nothing: no record is met twice, none is skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

T = TypeVar("T")

#: How many records a page has where nobody asked for another number, and at most.
PAGE, LARGEST_PAGE = 100, 1000
#: After so many parts a page of uploads ends early; one upload may have 10,000.
PARTS_ON_PAGE = 20_000

_MARK = re.compile(r"(-?[0-9.e-]{1,30})_([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, order=True, slots=True)
class Mark:
    """Where a record stands in its list: `at` (by the clock of deadlines), then its id.

    It means the same when the record is gone.
    """

    at: float
    id: str

    def __str__(self) -> str:
        return f"{self.at!r}_{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises `ValueError`."""
        if (found := _MARK.fullmatch(text)) is None or not math.isfinite(float(found[1])):
            raise ValueError("not a mark")
        return cls(float(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a list is wanted: at most `limit` records that come behind `after`.

    None: from the beginning, which is the oldest record, or the newest with `newest`.
    """

    after: Mark | None = None
    limit: int = LARGEST_PAGE
    newest: bool = False


#: As much as a page can have, from the beginning.
FIRST = Slice()


class Page(list[T]):
    """Some records of a list, in its order. `rest`: the mark after which the others come.

    `rest` is None on the last page. A page may be shorter than what was asked for.
    """

    def __init__(self, records: Iterable[T] = (), rest: Mark | None = None) -> None:
        super().__init__(records)
        self.rest = rest
