"""Which catalog and which storage belong together."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

#: What the record in a storage is called.
NAME = "wherry.json"


@dataclass(frozen=True, slots=True)
class Installation:
    """The identifiers of a catalog and of its storage. Both have a record of both.

    `storage`: None in a catalog that has no storage yet.
    """

    catalog: str
    storage: str | None

    def join(self, storage: str | None, *, replace: bool = False) -> Installation:
        """The same with this storage, if there is none yet, or with `replace`."""
        if storage is None or (self.storage is not None and not replace):
            return self
        return Installation(self.catalog, storage)

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, data: bytes) -> Installation:
        """The inverse of `encode`. Raises `ValueError`."""
        match json.loads(data):
            case {"catalog": str(catalog), "storage": str(storage)}:
                return cls(catalog, storage)
        raise ValueError("it does not name a catalog and a storage")
