"""What the writer can be asked to do, as values.

Rule 1: `apply` writes nothing before the last thing that may raise, so an
operation that raises leaves nothing behind in its group's transaction.

Rule 2: on a full disk, only what frees space or ends an upload is applied.

Rule 3: `apply` may be run again: when a group fails for one operation's sake,
the others are applied once more without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf
from typing import Protocol, TypeVar

from wherry.catalog import Change, Choice
from wherry.catalog.draft import Draft
from wherry.core.assessment import Assessment
from wherry.core.upload import GONE, State, Upload

T_co = TypeVar("T_co", covariant=True)


def is_freeing(before: Upload, after: Upload) -> bool:
    """Whether recording this helps to empty a full disk: an upload ends, or its file went."""
    is_ending = after.state is not before.state or before.state is State.COMPLETING
    return (is_ending and before.state is not State.WAITING) or (
        after.state in GONE or after.discarded_at != before.discarded_at
    )


class Operation(Protocol[T_co]):
    @property
    def concerns(self) -> tuple[str, ...]:
        """The uploads that it will want, to be read in advance."""

    def apply(self, draft: Draft) -> T_co: ...


@dataclass(frozen=True, slots=True)
class Create:
    upload: Upload

    @property
    def concerns(self) -> tuple[str, ...]:
        return (self.upload.id,)

    def apply(self, draft: Draft) -> Upload:
        draft.check_takes_more()
        new = self.upload
        same = None if new.fingerprint is None else draft.same_upload(new)
        if same is not None:
            return same
        if draft.find(new.id) is not None:
            raise ValueError(f"there is an upload {new.id}")
        draft.put(new)
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

    def apply(self, draft: Draft) -> list[Upload]:
        draft.check_takes_more()
        chosen = self.choose(draft.line(self.now, self.latest))
        draft.fetch(chosen)
        changed = [self.change(draft.upload(upload_id)) for upload_id in chosen]
        for upload in changed:
            draft.put(upload)
        return changed


@dataclass(frozen=True, slots=True)
class Update:
    upload_id: str
    change: Change
    queue: Assessment | None = None

    @property
    def concerns(self) -> tuple[str, ...]:
        return (self.upload_id,)

    def apply(self, draft: Draft) -> Upload:
        before = draft.upload(self.upload_id)
        changed = self.change(before)
        if changed is not before and not is_freeing(before, changed):
            draft.check_takes_more()
        draft.put(changed)
        if self.queue is not None:
            draft.queue(self.queue)
        return changed


@dataclass(frozen=True, slots=True)
class Forget:
    upload_ids: Collection[str]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    def apply(self, draft: Draft) -> None:
        draft.forget(self.upload_ids)


@dataclass(frozen=True, slots=True)
class UpdateAssessment:
    assessment_id: str
    change: Callable[[Assessment], Assessment]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    def apply(self, draft: Draft) -> Assessment:
        draft.check_takes_more()
        before = draft.assessment(self.assessment_id)
        after = self.change(before)
        draft.rewrite_assessment(before, after)
        return after


@dataclass(frozen=True, slots=True)
class LeaseAssessment:
    now: float
    change: Callable[[Assessment], Assessment]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    def apply(self, draft: Draft) -> Assessment | None:
        draft.check_takes_more()
        before = draft.leasable_assessment(self.now)
        if before is None:
            return None
        after = self.change(before)
        draft.rewrite_assessment(before, after)
        return after
