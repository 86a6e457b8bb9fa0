"""Webhooks: which changes are events, what is sent, and the life of one delivery.

Rule 1: an event is a change of a record, seen from the record before and after it. So the catalog
records the event in the transaction of the change, whichever way the change came about.

Rule 2: a delivery has everything that is sent. The record of its upload may be deleted before.

Rule 3: a delivery belongs to the process that has taken it, until it is due again. A process that
comes too late with its result changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from wherry.core.assessment import Assessment
from wherry.core.upload import Upload

#: How often a delivery is tried. With these delays, the attempts take a little more than a day.
MAX_ATTEMPTS = 14
#: Seconds between two attempts: at first, the factor from one to the next, and at most.
FIRST_DELAY, FACTOR, LONGEST_DELAY = 5.0, 3.0, 4 * 3600.0
#: The last part of a delay that is left to chance, so that deliveries do not come all at once.
JITTER = 0.2
#: The longest `Retry-After` that is obeyed, in seconds.
LONGEST_PAUSE = 3600.0

#: The types of events.
UPLOAD_COMPLETED, ASSESSMENT_FINISHED = "upload.completed", "assessment.finished"


class DeliveryState(Enum):
    PENDING = "pending"  #: It is to be sent, for the first time or again.
    DELIVERED = "delivered"  #: The endpoint has answered 2xx.
    FAILED = "failed"  #: Given up.
    GONE = "gone"  #: The endpoint has answered 410: nothing more is sent to it.


class DeliveryTaken(Exception):
    """Another process has this delivery by now."""


def delay_after(attempts: int, chance: float) -> float:
    """Seconds until the next attempt. `chance`: from 0 to 1."""
    longest = min(FIRST_DELAY * FACTOR ** (attempts - 1), LONGEST_DELAY)
    return longest * (1 - JITTER * chance)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint.

    `id`: the `webhook-id`, the same at every attempt. `payload`: the body that is sent.
    `date`: when the event occurred, in Unix seconds. `due_at`, `ended_at`: by the deadline clock.
    `attempts`: how often it was begun to be sent. `token`: of the process that sends it now.
    `problem`: why the last attempt failed.
    """

    id: str
    url: str
    type: str
    payload: str
    date: float
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    due_at: float = 0.0
    token: str | None = None
    ended_at: float | None = None
    problem: str | None = None

    def is_due(self, now: float) -> bool:
        return self.state is DeliveryState.PENDING and self.due_at <= now

    def take(self, token: str, now: float, until: float) -> Delivery:
        """Begin an attempt. If its result is not recorded by `until`, it is tried again."""
        if not self.is_due(now):
            raise DeliveryTaken
        return replace(self, token=token, attempts=self.attempts + 1, due_at=until)

    def deliver(self, token: str, now: float) -> Delivery:
        """The endpoint has it. Raises `DeliveryTaken`, as all methods with a token do."""
        self._require(token)
        return self._end(DeliveryState.DELIVERED, now, None)

    def retry(self, token: str, now: float, problem: str, delay: float) -> Delivery:
        """The attempt has failed: try again in `delay` seconds, or give up after the last one."""
        self._require(token)
        if self.attempts >= MAX_ATTEMPTS:
            return self._end(DeliveryState.FAILED, now, problem)
        return replace(self, token=None, due_at=now + delay, problem=problem)

    def refuse(self, token: str, now: float, problem: str) -> Delivery:
        """The endpoint has answered 410, and wants nothing more."""
        self._require(token)
        return self._end(DeliveryState.GONE, now, problem)

    def release(self, token: str, now: float) -> Delivery:
        """The attempt was broken off, because the server stops. It does not count."""
        self._require(token)
        return replace(self, token=None, due_at=now, attempts=self.attempts - 1)

    def give_up(self, now: float, problem: str) -> Delivery:
        """It will not be sent. Unchanged if it has ended, or while it is being sent."""
        if self.state is not DeliveryState.PENDING or self.token is not None:
            return self
        return self._end(DeliveryState.FAILED, now, problem)

    def replay(self) -> Delivery:
        """Send it again, from the first attempt on. Unchanged while it is still to be sent."""
        if self.state is DeliveryState.PENDING:
            return self
        return replace(self, state=DeliveryState.PENDING, attempts=0, due_at=0.0, ended_at=None)

    def _end(self, state: DeliveryState, now: float, problem: str | None) -> Delivery:
        return replace(self, state=state, token=None, ended_at=now, problem=problem)

    def _require(self, token: str) -> None:
        if self.state is not DeliveryState.PENDING or self.token != token:
            raise DeliveryTaken


@dataclass(frozen=True, slots=True)
class Outbox:
    """Makes the deliveries of a change: one for each endpoint in `urls`.

    `date`: the current date in Unix seconds. `new_id`: makes identifiers.
    """

    urls: tuple[str, ...]
    date: Callable[[], float]
    new_id: Callable[[], str]

    def of_upload(self, before: Upload | None, after: Upload) -> list[Delivery]:
        """`upload.completed`, when an upload becomes complete."""
        if not after.is_complete() or (before is not None and before.is_complete()):
            return []
        return self._deliveries(UPLOAD_COMPLETED, _facts(after))

    def of_assessment(
        self, before: Assessment, after: Assessment, upload: Callable[[], Upload | None]
    ) -> list[Delivery]:
        """`assessment.finished`, when an assessment becomes done or failed.

        `upload`: reads the upload, and is called only then; None: it cannot be read.
        """
        if before.is_over or not after.is_over:
            return []
        of_upload = upload()
        facts: dict[str, object] = {"upload_id": after.upload_id, "owner": after.owner}
        if of_upload is not None:
            facts = _facts(of_upload)
        report = after.report or {}
        facts |= {"assessment_id": after.id, "state": after.state.value}
        facts |= {"verdict": report.get("verdict"), "problem": after.problem}
        return self._deliveries(ASSESSMENT_FINISHED, facts)

    def _deliveries(self, type_: str, facts: dict[str, object]) -> list[Delivery]:
        date = self.date()
        timestamp = datetime.fromtimestamp(date, UTC).isoformat(timespec="milliseconds")
        event = {"type": type_, "timestamp": timestamp.replace("+00:00", "Z"), "data": facts}
        # Only ASCII, so that no name of a file can be refused by a database.
        payload = json.dumps(event, separators=(",", ":"))
        return [Delivery(f"msg_{self.new_id()}", url, type_, payload, date) for url in self.urls]


def _facts(upload: Upload) -> dict[str, object]:
    return {
        "upload_id": upload.id,
        "owner": upload.owner,
        "filename": upload.filename,
        "size": upload.length,
        "content_type": upload.content_type,
        "digest": str(upload.received_digest),
        "assessment_id": upload.assessment_id,
        "ticket_id": upload.ticket_id,
    }
