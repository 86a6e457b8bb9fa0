"""What the writer remembers from one transaction to the next, so that it need not read it again.

Rule 1: everything here is what the next transaction would read. SQLite tells in a transaction
whether another process has committed since the last one (`data_version`); then all is forgotten.

Rule 2: the uploads used last are kept, `KNOWN_UPLOADS` at most, with `KNOWN_PARTS` in all.
"""

from __future__ import annotations

from collections import OrderedDict

from wherry.catalog.sql.occupancy import Occupancy
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.core.upload import Upload

KNOWN_UPLOADS, KNOWN_PARTS = 256, 50_000


class Known:
    """Uploads, and what they take, as the transaction before left them."""

    def __init__(self) -> None:
        self.uploads: OrderedDict[str, Upload] = OrderedDict()
        self.occupancy: Occupancy | None = None
        self._version = -1
        self._parts = 0

    def keep_if(self, version: int) -> None:
        """Forget everything, unless it was true at this data version."""
        if version != self._version:
            self.uploads.clear()
            self.occupancy, self._parts = None, 0

    def learn(self, work: UnitOfWork, version: int) -> None:
        """Remember what this transaction has left, which was committed at this data version."""
        self._version, self.occupancy = version, work.occupancy
        for id_, upload in work.recorded().items():
            before = self.uploads.pop(id_, None)
            self._parts -= 0 if before is None else before.received.count
            if upload is not None:
                self.uploads[id_] = upload
                self._parts += upload.received.count
        while len(self.uploads) > KNOWN_UPLOADS or self._parts > KNOWN_PARTS:
            _, oldest = self.uploads.popitem(last=False)
            self._parts -= oldest.received.count
