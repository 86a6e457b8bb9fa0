"""Values of `core` to rows, and back.

Rule 1: `x_of(x_row(x)) == x` for every value that `core` can create.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from wherry.core.assessment import Assessment, AssessmentState, Step
from wherry.core.digests import Digest
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Calls, Completion, Lease, State, Upload

Values = dict[str, Any]


def upload_row(upload: Upload) -> Values:
    """All of an upload except its parts and leases."""
    completion = upload.completion
    return {
        "id": upload.id,
        "owner": upload.owner,
        "filename": upload.filename,
        "limit": upload.limit,
        "length": upload.length,
        "chunk_size": upload.chunk_size,
        "created_at": upload.created_at,
        "content_type": upload.content_type,
        "fingerprint": upload.fingerprint,
        "digest": None if upload.digest is None else str(upload.digest),
        "metadata": dict(upload.metadata),
        "state": upload.state.value,
        "completion_token": completion.token if completion else None,
        "completion_until": completion.until if completion else None,
        "calls_lost": upload.calls.lost,
        "called_at": upload.calls.at,
        "call_is_orphaned": upload.calls.is_orphaned,
        "is_named": upload.is_named,
        "began_at": upload.began_at,
        "slot_until": upload.slot_until,
        "assessment_id": upload.assessment_id,
        "failure": upload.failure,
        "discarded_at": upload.discarded_at,
        "queued_at": upload.queued_at,
    }


def upload_of(row: Row[Any], parts: Iterable[Part], leases: Iterable[Lease]) -> Upload:
    """The upload of this row; `parts` are merged and in order, as they are recorded."""
    completion = None
    if row.completion_token is not None:
        completion = Completion(row.completion_token, row.completion_until)
    return Upload(
        id=row.id,
        owner=row.owner,
        filename=row.filename,
        limit=row.limit,
        length=row.length,
        chunk_size=row.chunk_size,
        created_at=row.created_at,
        content_type=row.content_type,
        fingerprint=row.fingerprint,
        digest=None if row.digest is None else Digest.parse(row.digest),
        metadata=row.metadata,
        state=State(row.state),
        received=PartSet(tuple(parts)),
        leases=tuple(leases),
        completion=completion,
        calls=Calls(row.calls_lost, row.called_at, row.call_is_orphaned),
        is_named=row.is_named,
        began_at=row.began_at,
        slot_until=row.slot_until,
        assessment_id=row.assessment_id,
        failure=row.failure,
        discarded_at=row.discarded_at,
        queued_at=row.queued_at,
    )


def part_row(upload_id: str, part: Part) -> Values:
    return {
        "upload_id": upload_id,
        "start": part.start,
        "end": part.end,
        "crc": part.crc,
        "at": part.at,
    }


def lease_row(upload_id: str, lease: Lease) -> Values:
    return {
        "upload_id": upload_id,
        "start": lease.range.start,
        "end": lease.range.end,
        "token": lease.token,
        "at": lease.at,
    }


def lease_of(row: Row[Any]) -> Lease:
    return Lease(row.token, Range(row.start, row.end), row.at)


def assessment_row(assessment: Assessment) -> Values:
    steps = [
        {"name": step.name, "state": step.state, "seconds": step.seconds}
        for step in assessment.steps
    ]
    return {
        "id": assessment.id,
        "upload_id": assessment.upload_id,
        "owner": assessment.owner,
        "created_at": assessment.created_at,
        "state": assessment.state.value,
        "attempts": assessment.attempts,
        "token": assessment.token,
        "leased_until": assessment.leased_until,
        "steps": steps,
        "finished_at": assessment.finished_at,
        "report": None if assessment.report is None else dict(assessment.report),
        "problem": assessment.problem,
    }


def assessment_of(row: Row[Any]) -> Assessment:
    return Assessment(
        id=row.id,
        upload_id=row.upload_id,
        owner=row.owner,
        created_at=row.created_at,
        state=AssessmentState(row.state),
        attempts=row.attempts,
        token=row.token,
        leased_until=row.leased_until,
        steps=tuple(Step(**step) for step in row.steps),
        finished_at=row.finished_at,
        report=row.report,
        problem=row.problem,
    )
