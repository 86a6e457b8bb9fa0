"""Rows that cannot be read: damaged, edited by hand, or written by a newer Wherry.

Rule 1: one such row takes no other with it. Where many rows are read at once, it is left
out and logged once. A request for this very record gets `StorageFailed`.

Rule 2: it never counts as absent. Bytes without a record are deleted after an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from wherry.core.errors import StorageFailed

log = logging.getLogger("wherry.catalog")

T = TypeVar("T")

#: How many unreadable records are remembered, so that each is logged once.
REMEMBERED = 1000

_logged: set[str] = set()


def read_apart(
    ids: Iterable[str], read: Callable[[list[str]], Mapping[str, T]]
) -> tuple[dict[str, T], dict[str, StorageFailed]]:
    """What `read` gives for these identifiers, and an error for each that it cannot read.

    They are read together, and one by one only if that fails. Raises what the database does.
    """
    wanted = list(ids)
    try:
        return dict(read(wanted)), {}
    except SQLAlchemyError:
        raise
    except Exception as error:
        if len(wanted) == 1:
            return {}, {wanted[0]: _failure(wanted[0], error)}
    found: dict[str, T] = {}
    unreadable: dict[str, StorageFailed] = {}
    for id_ in wanted:
        some, failed = read_apart([id_], read)
        found |= some
        unreadable |= failed
    return found, unreadable


def _failure(id_: str, error: Exception) -> StorageFailed:
    if id_ not in _logged:
        if len(_logged) >= REMEMBERED:
            _logged.clear()
        _logged.add(id_)
        log.error("the record %s cannot be read, and is left out: %r", id_, error)
    return StorageFailed("the record in the catalog cannot be read")
