"""One upload's parts on their way to the object store: address, bytes, report.

Rule 1: the decisions are in `direct.py` and `plan.py`. This module asks, sends and reports.

Rule 2: each try gets an address of its own, so no old address is ever used.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from wherry.client.direct import MOST_PARTS, DirectWay, Failure, PartAddress, failure_of
from wherry.client.errors import ClientError, ConnectionLost, NotConnected, Refused, TimedOut
from wherry.client.exchange import Sent
from wherry.client.gathering import Gathering
from wherry.client.retrying import Retrying
from wherry.client.wire import Wire
from wherry.core.ranges import Range

#: What the server does not take: it has another opinion of this part, or no such route.
_NOT_DIRECT = ("bad-request", "not-found", "method-not-allowed", "")

Missing = tuple[Range, ...]


class StoreFailed(ClientError):
    """The store did not take the part, and it may be tried again."""


class InChunks(Exception):
    """This part has to go in chunks. `is_all`: so does everything else of this upload."""

    def __init__(self, *, is_all: bool) -> None:
        super().__init__()
        self.is_all = is_all


@dataclass(frozen=True, slots=True)
class _Reported:
    """What the server still misses; or its refusal, when it has recorded the others."""

    missing: Missing | None
    refusal: ClientError | None = None

    def is_lacking(self, number: int) -> bool:
        lacking = [] if self.refusal is None else self.refusal.facts.get("parts")
        return not isinstance(lacking, list) or number in lacking


class PartSending:
    def __init__(self, wire: Wire, retrying: Retrying, way: DirectWay, upload_id: str) -> None:
        self._wire = wire
        self._way = way
        ask = partial(retrying.ask, "status")

        async def report(numbers: Mapping[int, None]) -> _Reported:
            try:
                return _Reported(await wire.report(upload_id, list(numbers)))
            except Refused as error:
                if error.code != "parts-missing":
                    raise
                return _Reported(None, error)  # asking again would not help

        self._addresses: Gathering[int, int, Mapping[int, PartAddress]] = Gathering(
            lambda crcs: ask(wire.addresses, upload_id, crcs, is_progress=False), MOST_PARTS
        )
        self._reports: Gathering[int, None, _Reported] = Gathering(
            lambda numbers: ask(report, numbers), MOST_PARTS
        )

    async def send(self, number: int, data: bytes, crc: int, sent: Sent) -> Missing | None:
        """Returns what the server still misses; None if it has the part already.

        Raises `StoreFailed`, `InChunks`, and other `ClientError`s of Wherry.
        """
        try:
            address = (await self._addresses(number, crc)).get(number)
        except Refused as error:
            if error.code not in _NOT_DIRECT:
                raise
            is_one = error.code == "bad-request" and error.facts.get("field") == "parts"
            raise InChunks(is_all=not is_one) from error
        if address is None:
            return None
        began = time.monotonic()
        await self._put(address, data, sent, began)
        self._way.passed(began)
        reported = await self._reports(number, None)
        if reported.is_lacking(number):
            detail = "The object store has taken the part, and does not have it."
            raise self._failed(404, began, ClientError(detail))
        return reported.missing

    async def _put(self, address: PartAddress, data: bytes, sent: Sent, began: float) -> None:
        try:
            answer = await self._wire.put(address, data, sent)
        except (NotConnected, ConnectionLost, TimedOut) as error:
            raise self._failed("network", began, error) from error
        if answer.status >= 300:
            refused = ClientError(f"The object store answers with status {answer.status}.")
            raise self._failed(failure_of(answer), began, refused)

    def _failed(self, failure: Failure, began: float, error: ClientError) -> Exception:
        if not self._way.failed(failure, began, time.monotonic()):
            return InChunks(is_all=True)
        return StoreFailed(error.detail, code="store-failed", retryable=True)
