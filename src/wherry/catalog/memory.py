"""The catalog in memory, for tests: the same promises, but for power loss.

Rule 1: all records are one value that is replaced, never changed, so a reader
sees it before a change or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from wherry.catalog import Admission, Change
from wherry.core.admission import Usage
from wherry.core.assessment import Assessment
from wherry.core.errors import NotThere, UploadNotFound
from wherry.core.upload import HOLDS_SPACE, State, Upload


@dataclass(frozen=True, slots=True)
class _Records:
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    assessments: Mapping[str, Assessment] = field(default_factory=dict)

    def upload(self, upload_id: str) -> Upload:
        if upload_id not in self.uploads:
            raise UploadNotFound(upload_id)
        return self.uploads[upload_id]

    def assessment(self, assessment_id: str) -> Assessment:
        if assessment_id not in self.assessments:
            raise NotThere
        return self.assessments[assessment_id]

    def with_upload(self, upload: Upload) -> _Records:
        return replace(self, uploads={**self.uploads, upload.id: upload})

    def with_assessment(self, assessment: Assessment) -> _Records:
        return replace(self, assessments={**self.assessments, assessment.id: assessment})

    def usage(self, now: float, owner: str | None, but_for: str | None = None) -> Usage:
        taken = [u for u in self.uploads.values() if u.state in HOLDS_SPACE and u.id != but_for]
        theirs = [upload for upload in taken if upload.owner == owner]
        return Usage(
            open=sum(upload.slot_until > now for upload in taken),
            reserved=sum(upload.limit for upload in taken),
            open_of_owner=sum(upload.slot_until > now for upload in theirs),
            reserved_of_owner=sum(upload.limit for upload in theirs),
        )

    def same_upload(self, new: Upload) -> Upload | None:
        def key(upload: Upload) -> tuple[object, ...]:
            return upload.owner, upload.fingerprint, upload.limit, upload.length

        if new.fingerprint is None:
            return None
        receiving = (u for u in self.uploads.values() if u.state is State.RECEIVING)
        same = [upload for upload in receiving if key(upload) == key(new)]
        return min(same, key=_age, default=None)


class MemoryCatalog:
    """A `Catalog` in one process."""

    def __init__(self) -> None:
        self._records = _Records()
        self._changing = Lock()

    async def create(self, upload: Upload, now: float, admit: Admission) -> Upload:
        with self._changing:
            same = self._records.same_upload(upload)
            if same is not None:
                return same
            if upload.id in self._records.uploads:
                raise ValueError(f"there is an upload {upload.id}")
            admitted = admit(upload, self._records.usage(now, upload.owner, upload.id))
            self._records = self._records.with_upload(admitted)
            return admitted

    async def admit(self, upload_id: str, now: float, admit: Admission) -> Upload:
        with self._changing:
            upload = self._records.upload(upload_id)
            admitted = admit(upload, self._records.usage(now, upload.owner, upload_id))
            self._records = self._records.with_upload(admitted)
            return admitted

    async def load(self, upload_id: str) -> Upload:
        return self._records.upload(upload_id)

    async def tokens(self, upload_id: str) -> frozenset[str]:
        upload = self._records.uploads.get(upload_id)
        return frozenset(lease.token for lease in upload.leases) if upload else frozenset()

    async def update(
        self, upload_id: str, change: Change, queue: Assessment | None = None
    ) -> Upload:
        return self._update(upload_id, change, queue)

    def update_blocking(self, upload_id: str, change: Change) -> Upload:
        return self._update(upload_id, change, None)

    def _update(self, upload_id: str, change: Change, queue: Assessment | None) -> Upload:
        with self._changing:
            changed = change(self._records.upload(upload_id))
            records = self._records.with_upload(changed)
            has_one = any(a.upload_id == upload_id for a in records.assessments.values())
            if queue is not None and not has_one:
                records = records.with_assessment(queue)
            self._records = records
            return changed

    async def uploads(
        self, states: Collection[State] | None = None, owner: str | None = None
    ) -> list[Upload]:
        found = [
            upload
            for upload in self._records.uploads.values()
            if (states is None or upload.state in states) and owner in (None, upload.owner)
        ]
        return sorted(found, key=_age)

    async def usage(self, now: float, owner: str | None = None) -> Usage:
        return self._records.usage(now, owner)

    async def forget(self, upload_ids: Collection[str]) -> None:
        with self._changing:
            before = self._records
            self._records = _Records(
                {id_: u for id_, u in before.uploads.items() if id_ not in upload_ids},
                {id_: a for id_, a in before.assessments.items() if a.upload_id not in upload_ids},
            )

    async def load_assessment(self, assessment_id: str) -> Assessment:
        return self._records.assessment(assessment_id)

    async def update_assessment(
        self, assessment_id: str, change: Callable[[Assessment], Assessment]
    ) -> Assessment:
        with self._changing:
            changed = change(self._records.assessment(assessment_id))
            self._records = self._records.with_assessment(changed)
            return changed

    async def claim_assessment(
        self, now: float, change: Callable[[Assessment], Assessment]
    ) -> Assessment | None:
        with self._changing:
            claimable = [a for a in self._records.assessments.values() if a.is_claimable(now)]
            if not claimable:
                return None
            claimed = change(min(claimable, key=_age))
            self._records = self._records.with_assessment(claimed)
            return claimed

    async def assessments(self, owner: str | None = None) -> list[Assessment]:
        found = [a for a in self._records.assessments.values() if owner in (None, a.owner)]
        return sorted(found, key=_age)

    async def close(self) -> None:
        """There is nothing to let go of."""


def _age(record: Upload | Assessment) -> tuple[float, str]:
    return record.created_at, record.id
