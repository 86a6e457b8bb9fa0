"""What the writers remember of earlier transactions, so that they need not read it again.

Rule 1: each transaction that changes an upload, its parts or its leases changes the version of its
row, under the lock of that row. So what was true at a version is true as long as it is the row's.
The time of its creation tells an upload from a later one of the same identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock

from wherry.catalog.sql.known import Known
from wherry.catalog.sql.queries import Version
from wherry.catalog.sql.refresh import MANY_PARTS
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.core.upload import Upload


class KnownVersions:
    """Shared by all writers of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known = Known()
        self._versions: dict[str, Version] = {}

    def at(self, ids: Iterable[str], versions: Mapping[str, Version]) -> dict[str, Upload | None]:
        """Those of the uploads `ids` that are known as they are; None: there is none.

        `versions`: those of the uploads that exist, after this transaction has changed them.
        """
        found: dict[str, Upload | None] = {}
        with self._lock:
            for id_ in ids:
                if id_ not in versions:
                    found[id_] = None
                elif id_ in self._known.uploads:
                    created_at, version = versions[id_]
                    if self._versions[id_] == (created_at, version - 1):
                        found[id_] = self._known.uploads[id_]
        return found

    def earlier(self, ids: Iterable[str]) -> dict[str, Upload]:
        """Those with many parts, which it pays to refresh, as they were at some time."""
        with self._lock:
            known = [(id_, self._known.uploads.get(id_)) for id_ in ids]
        return {id_: u for id_, u in known if u is not None and u.received.count >= MANY_PARTS}

    def learn(self, work: UnitOfWork, versions: Mapping[str, Version]) -> None:
        """Remember what a transaction has left that has changed versions to these.

        Of two transactions, the later one may come first: then the older version is remembered,
        and does not match.
        """
        with self._lock:
            self._known.learn(work, 0)
            for id_, upload in work.recorded().items():
                if upload is not None:
                    self._versions[id_] = versions.get(id_, (upload.created_at, 0))
            for id_ in self._versions.keys() - self._known.uploads.keys():
                del self._versions[id_]
