"""What a writer remembers from one transaction to the next, so that it need not read it again.

Rule 1: SQLite tells in a transaction whether another process has committed since the last one
(`data_version`). If none has, what is remembered is what the transaction would read. If one has,
all is forgotten, apart from uploads with many parts: those can be refreshed.

Rule 2: the uploads used last are kept, `KNOWN_UPLOADS` at most, with `KNOWN_PARTS` in all.
"""

from __future__ import annotations

from wherry.catalog.sql.occupancy import Occupancy
from wherry.catalog.sql.refresh import MANY_PARTS
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.core.upload import Upload

KNOWN_UPLOADS, KNOWN_PARTS = 256, 50_000


class Known:
    """Uploads, and what they take, as the transaction before left them."""

    def __init__(self) -> None:
        self.uploads: dict[str, Upload] = {}
        self.earlier: dict[str, Upload] = {}
        self.occupancy: Occupancy | None = None
        self._version = -1
        self._parts = 0

    def keep_if(self, version: int) -> None:
        """Forget, as Rule 1 says, unless this is the data version of the last transaction."""
        if version == self._version:
            return
        many = {id_: u for id_, u in self.uploads.items() if u.received.count >= MANY_PARTS}
        self.earlier |= many
        self.uploads.clear()
        self.occupancy = None
        self._parts = sum(upload.received.count for upload in self.earlier.values())

    def learn(self, work: UnitOfWork, version: int) -> None:
        """Remember what this transaction has left, which was committed at this data version."""
        self._version, self.occupancy = version, work.occupancy
        for id_, upload in work.recorded().items():
            before = self.uploads.pop(id_, None) or self.earlier.pop(id_, None)
            self._parts -= 0 if before is None else before.received.count
            if upload is not None:
                self.uploads[id_] = upload
                self._parts += upload.received.count
        while len(self.uploads) + len(self.earlier) > KNOWN_UPLOADS or self._parts > KNOWN_PARTS:
            kept: dict[str, Upload] = self.earlier or self.uploads
            self._parts -= kept.pop(next(iter(kept))).received.count
