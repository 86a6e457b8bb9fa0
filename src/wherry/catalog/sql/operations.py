"""The changes that a catalog can make, as values: a backend decides when to apply them.

Rule 1: `apply` writes nothing before the last step that may raise, so an operation that
raises leaves nothing in the transaction that it shares with others.

Rule 2: on a full disk, only operations that free space or end an upload are applied.

Rule 3: `apply` may run again: when a transaction fails because of one operation, the others
are applied once more without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from wherry.catalog import Change, Check, Choice
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.core.assessment import Assessment
from wherry.core.installation import Installation
from wherry.core.limits import Used
from wherry.core.paths import Paths
from wherry.core.upload import ACCEPTS, GONE, State, Upload
from wherry.core.webhooks import Delivery

T_co = TypeVar("T_co", covariant=True)


def is_freeing(before: Upload, after: Upload) -> bool:
    """Whether this change frees space: an upload ends, or its file is deleted."""
    is_ending = after.state is not before.state or before.state is State.COMPLETING
    return (is_ending and before.state is not State.WAITING) or (
        after.state in GONE or after.discarded_at != before.discarded_at
    )


class Operation(Protocol[T_co]):
    @property
    def concerns(self) -> tuple[str, ...]:
        """The uploads that `apply` will need, so that they can be read in advance."""

    @property
    def admits(self) -> bool:
        """Whether it depends on how many others there are, and may add one to them.

        Two of these must not be applied at the same time.
        """

    def apply(self, work: UnitOfWork) -> T_co: ...


@dataclass(frozen=True, slots=True)
class Create:
    upload: Upload

    @property
    def concerns(self) -> tuple[str, ...]:
        return (self.upload.id,)

    @property
    def admits(self) -> bool:
        return True

    def apply(self, work: UnitOfWork) -> Upload:
        work.check_takes_more()
        new = self.upload
        same = None if new.fingerprint is None else work.same_upload(new)
        if same is not None:
            return same
        if work.find(new.id) is not None:
            raise ValueError(f"there is an upload {new.id}")
        work.put(new)
        return new


@dataclass(frozen=True, slots=True)
class Arrive:
    upload: Upload
    assessment: Assessment | None = None
    check: Check | None = None
    latest: float = inf

    @property
    def concerns(self) -> tuple[str, ...]:
        return (self.upload.id,)

    @property
    def admits(self) -> bool:
        new = self.upload
        return any(each is not None for each in (self.check, new.fingerprint, new.ticket_id))

    def apply(self, work: UnitOfWork) -> Upload:
        new = self.upload
        known = work.find(new.id)
        if known is not None:
            return known
        work.check_takes_more()
        same = work.same_upload(new) if new.fingerprint and new.state in ACCEPTS else None
        if same is not None:
            return same
        if self.check is not None:
            self.check(work.queue(new.created_at, self.latest))
        work.put(new)
        if self.assessment is not None:
            work.add_assessment(self.assessment)
        return new


@dataclass(frozen=True, slots=True)
class Advance:
    now: float
    choose: Choice
    change: Change
    latest: float = inf

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return True

    def apply(self, work: UnitOfWork) -> list[Upload]:
        work.check_takes_more()
        chosen = self.choose(work.queue(self.now, self.latest))
        work.fetch(chosen)
        changed = [self.change(work.upload(upload_id)) for upload_id in chosen]
        for upload in changed:
            work.put(upload)
        return changed


@dataclass(frozen=True, slots=True)
class Update:
    upload_id: str
    change: Change
    assessment: Assessment | None = None

    @property
    def concerns(self) -> tuple[str, ...]:
        return (self.upload_id,)

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> Upload:
        before = work.upload(self.upload_id)
        changed = self.change(before)
        if changed is not before and not is_freeing(before, changed):
            work.check_takes_more()
        work.put(changed)
        if self.assessment is not None:
            work.add_assessment(self.assessment)
        return changed


@dataclass(frozen=True, slots=True)
class Forget:
    upload_ids: Collection[str]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> None:
        work.forget(self.upload_ids)


@dataclass(frozen=True, slots=True)
class UpdateAssessment:
    assessment_id: str
    change: Callable[[Assessment], Assessment]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> Assessment:
        work.check_takes_more()
        before = work.assessment(self.assessment_id)
        after = self.change(before)
        work.update_assessment(before, after)
        return after


@dataclass(frozen=True, slots=True)
class LeaseAssessment:
    now: float
    change: Callable[[Assessment], Assessment]
    most: int | None = None

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return self.most is not None

    def apply(self, work: UnitOfWork) -> Assessment | None:
        work.check_takes_more()
        if self.most is not None and work.leased_assessments(self.now) >= self.most:
            return None
        before = work.leasable_assessment(self.now)
        if before is None:
            return None
        after = self.change(before)
        work.update_assessment(before, after)
        return after


@dataclass(frozen=True, slots=True)
class TakeDeliveries:
    url: str
    now: float
    most: int
    change: Callable[[Delivery], Delivery]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> list[Delivery]:
        work.check_takes_more()
        found = work.due_deliveries(self.url, self.now, self.most)
        taken = [self.change(delivery) for delivery in found]
        for before, after in zip(found, taken, strict=True):
            work.update_delivery(before, after)
        return taken


@dataclass(frozen=True, slots=True)
class UpdateDelivery:
    delivery_id: str
    change: Callable[[Delivery], Delivery]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> Delivery:
        work.check_takes_more()
        work.flush()
        before = work.delivery(self.delivery_id)
        after = self.change(before)
        work.update_delivery(before, after)
        return after


@dataclass(frozen=True, slots=True)
class ForgetDeliveries:
    before: float
    now: float

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> None:
        work.forget_deliveries(self.before, self.now)


@dataclass(frozen=True, slots=True)
class UpdateRate:
    key: str
    new: Used
    change: Callable[[Used], Used]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        """False: the lock of its row is enough."""
        return False

    def apply(self, work: UnitOfWork) -> Used:
        work.check_takes_more()
        before = work.rate(self.key, self.new)
        after = self.change(before)
        if after != before:
            work.put_rate(self.key, after)
        return after


@dataclass(frozen=True, slots=True)
class ForgetRates:
    keys: Collection[str]
    now: float

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> None:
        work.forget_rates(self.keys, self.now)


@dataclass(frozen=True, slots=True)
class Identify:
    new: str
    storage: str | None
    replace: bool

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        """True: of two of these that find no row, each would add one."""
        return True

    def apply(self, work: UnitOfWork) -> Installation:
        before = work.installation()
        known = before or Installation(self.new, None)
        after = known.join(self.storage, replace=self.replace)
        if after != before:
            work.put_installation(after, is_new=before is None)
        return after


@dataclass(frozen=True, slots=True)
class UpdatePaths:
    change: Callable[[Paths], Paths]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        """True: it reads all of them, and may add one."""
        return True

    def apply(self, work: UnitOfWork) -> Paths:
        work.check_takes_more()
        before = work.paths()
        after = self.change(before)
        work.put_paths(before, after)
        return after


def apply_all(
    work: UnitOfWork, operations: Iterable[Operation[Any]]
) -> list[tuple[Any, Exception | None]]:
    """Apply them in this order; for each, its result, or the exception it raised.

    Raises what the database raises: then nothing more may be written in this transaction.
    """
    outcomes: list[tuple[Any, Exception | None]] = []
    for operation in operations:
        try:
            outcomes.append((operation.apply(work), None))
        except SQLAlchemyError:
            # The database may have rolled back already. Going on would record the next
            # operations in a transaction of their own, without the ones before them.
            raise
        except Exception as problem:
            outcomes.append((None, problem))
    work.flush()
    work.write_uses()
    return outcomes
