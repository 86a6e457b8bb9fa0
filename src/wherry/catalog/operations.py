"""What the writer can be asked to do, as values.

Rule 1: `apply` writes nothing before the last thing that may raise, so an
operation that raises leaves nothing behind in its group's transaction.

Rule 2: `apply` may be run again: when a group fails for one operation's sake,
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
from wherry.core.upload import Upload

T_co = TypeVar("T_co", covariant=True)


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
        changed = self.change(draft.upload(self.upload_id))
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
        before = draft.assessment(self.assessment_id)
        after = self.change(before)
        draft.rewrite_assessment(before, after)
        return after


@dataclass(frozen=True, slots=True)
class Claim:
    now: float
    change: Callable[[Assessment], Assessment]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    def apply(self, draft: Draft) -> Assessment | None:
        before = draft.claimable_assessment(self.now)
        if before is None:
            return None
        after = self.change(before)
        draft.rewrite_assessment(before, after)
        return after
