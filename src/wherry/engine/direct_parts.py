"""The verbs of direct uploads: clients send parts to the storage themselves, and report them.

    1. `addresses`  the engine signs an address for each part
    2.              the client sends the part there; no process of Wherry sees a byte of it
    3. `report`     the engine asks the storage for the part, and records it

Rule 1: what a client reports is never believed. A part is recorded with the length and the CRC that
the storage tells. So bytes come before records here, too.

Rule 2: an address is signed for one length and one CRC-64/NVME. A client may ask for a second
address of the same part and send other bytes there later, also when the part is recorded.
Completing then fails: the storage compares the CRC of the whole object with the recorded one.

Rule 3: the first part comes through Wherry, so that the type of the file is checked by its head.

Rule 4: a report needs no lease. One commit records its parts, and takes the leases of requests that
write the same bytes, because the report is newer. They can record nothing any more, and end within
two seconds (`Leasing.end_superseded`).

Rule 5: a report needs no slot: its bytes are safe already. Addresses need one, because they are the
permission to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wherry.core.errors import BadRequest, PartsMissing
from wherry.core.ranges import Part, Range
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine.admitting import Admitting
from wherry.engine.context import Context
from wherry.engine.rates import BYTES, Rates
from wherry.events import Event
from wherry.storage import PartAddress, Parts, Vanished

#: For how long an address is valid, in seconds.
LIFETIME = 15 * 60

_NOT_OFFERED = "takes no direct uploads: send its bytes as chunks"


@dataclass(frozen=True, slots=True)
class AddressedPart:
    """A part and where to send it."""

    number: int
    range: Range
    address: PartAddress


class DirectParts:
    def __init__(self, context: Context, admitting: Admitting, rates: Rates) -> None:
        self._context = context
        self._admitting = admitting
        self._rates = rates

    def part_size(self, upload: Upload) -> int | None:
        """The size of the parts that clients may send to the storage; None: not of this upload."""
        parts = self._context.storage.parts
        if parts is None or not parts.takes_direct or upload.length is None:
            return None
        size = parts.size(upload.length)
        return size if upload.length > size else None

    async def addresses(
        self, caller: Caller, upload_id: str, crcs: Mapping[int, int]
    ) -> tuple[float, list[AddressedPart]]:
        """When they expire (Unix seconds), and the addresses. Raises as `Engine.addresses` does."""
        context, now = self._context, self._context.clock()
        upload = await context.load(caller, upload_id)
        upload.check_takes_bytes()
        size, parts = self.part_size(upload), context.storage.parts
        if size is None or parts is None:
            raise BadRequest("upload_id", _NOT_OFFERED)
        ranges = upload.direct_parts(crcs, size)
        await self._rates.take(BYTES, caller, sum(map(len, ranges.values())))

        def check(upload: Upload) -> Upload:
            upload.check_receiving()
            return upload.keep_slot(now, context.settings.limits)

        await self._admitting.with_slot(upload_id, now, check)
        expires_at = context.date() + LIFETIME

        def sign() -> list[AddressedPart]:
            return [
                AddressedPart(n, each, parts.address(upload_id, each, crcs[n], LIFETIME))
                for n, each in ranges.items()
            ]

        try:
            return expires_at, await context.on_thread(sign)
        except Vanished:
            await self._check_vanished(upload_id, ranges.values())
            return expires_at, []

    async def report(self, caller: Caller, upload_id: str, numbers: Iterable[int]) -> Upload:
        """The upload with these parts recorded. Raises as `Engine.report` does."""
        upload, parts = await self._context.load(caller, upload_id), self._context.storage.parts
        upload.check_receiving()
        if parts is None or upload.length is None:
            raise BadRequest("upload_id", _NOT_OFFERED)
        ranges = upload.reported_parts(numbers, parts.size(upload.length))
        if ranges:
            upload = await self._record(upload_id, ranges, parts)
        lacking = tuple(n for n, each in ranges.items() if upload.received.missing(each))
        if lacking:
            raise PartsMissing(lacking)
        return upload

    async def _record(self, upload_id: str, ranges: Mapping[int, Range], parts: Parts) -> Upload:
        """The upload with those of these parts recorded that are in storage."""
        context, now, new = self._context, self._context.clock(), 0
        limits = context.settings.limits
        try:
            stored = await context.on_thread(parts.stored, upload_id, ranges)
        except Vanished:
            return await self._check_vanished(upload_id, ranges.values())
        found = tuple(
            Part(each.start, each.end, stored[n].crc, now)
            for n, each in ranges.items()
            if n in stored and stored[n].size == len(each)
        )

        def record(upload: Upload) -> Upload:
            nonlocal new
            after = upload.record_direct(found, now, limits)
            new = after.received.size - upload.received.size
            return after

        # A crash here: the parts are in storage, and the client reports them again.
        upload = await context.catalog.update(upload_id, record)
        if new:
            context.log_event(Event.RECORDED_DIRECT, upload, received=new)
        return upload

    async def _check_vanished(self, upload_id: str, ranges: Iterable[Range]) -> Upload:
        """Storage does not have the unfinished upload. Raises `UploadGone`.

        Unless these parts were recorded meanwhile: then it may be about to be complete.
        """
        upload = await self._context.catalog.load(upload_id)
        if any(upload.received.missing(each) for each in ranges):
            raise await self._context.vanished(upload_id)
        return upload
