"""Values of `core` to rows, and back.

Rule 1: `x_of(x_row(x)) == x` for every value that `core` can create.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from wherry.catalog.sql.session import Row
from wherry.core.assessment import Assessment, AssessmentState, Step
from wherry.core.digests import Digest
from wherry.core.joining import Joining, Piece
from wherry.core.paths import Path, Report
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.tickets import Ticket
from wherry.core.upload import Calls, Completion, Lease, State, Upload
from wherry.core.webhooks import Delivery, DeliveryState

Values = dict[str, Any]


#: The fields of an upload that are in its row: all but its parts and leases.
FACTS = tuple(f.name for f in fields(Upload) if f.name not in ("received", "leases"))


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
        "version": 0,
        "ticket_id": upload.ticket_id,
        "completed_at": upload.completed_at,
        "sha256": upload.sha256,
        "ended_at": upload.ended_at,
        "joining": None if upload.joining is None else _joining_row(upload.joining),
    }


def upload_of(
    row: Row, parts: Iterable[Part], leases: Iterable[Lease], received: PartSet | None = None
) -> Upload:
    """The upload of this row, which has all columns in their order.

    `parts` are merged and in order, as they are recorded; `received` may be given instead.
    """
    (
        id_,
        owner,
        filename,
        limit,
        length,
        chunk_size,
        created_at,
        content_type,
        fingerprint,
        digest,
        metadata,
        state,
        completion_token,
        completion_until,
        slot_until,
        assessment_id,
        failure,
        discarded_at,
        queued_at,
        calls_lost,
        called_at,
        call_is_orphaned,
        is_named,
        began_at,
        _,  # its version
        ticket_id,
        completed_at,
        sha256,
        ended_at,
        joining,
    ) = row
    has_completion = completion_token is not None
    return Upload(
        id=id_,
        owner=owner,
        filename=filename,
        limit=limit,
        length=length,
        chunk_size=chunk_size,
        created_at=created_at,
        content_type=content_type,
        fingerprint=fingerprint,
        digest=None if digest is None else Digest.parse(digest),
        metadata=metadata,
        state=State(state),
        received=PartSet(tuple(parts)) if received is None else received,
        leases=tuple(leases),
        completion=Completion(completion_token, completion_until) if has_completion else None,
        calls=Calls(calls_lost, called_at, call_is_orphaned),
        is_named=is_named,
        began_at=began_at,
        slot_until=slot_until,
        assessment_id=assessment_id,
        failure=failure,
        discarded_at=discarded_at,
        queued_at=queued_at,
        ticket_id=ticket_id,
        completed_at=completed_at,
        sha256=sha256,
        ended_at=ended_at,
        joining=None if joining is None else _joining_of(joining),
    )


def _joining_row(joining: Joining) -> Values:
    pieces = [[piece.upload_id, piece.length] for piece in joining.pieces]
    return {"pieces": pieces, "into": joining.into}


def _joining_of(row: Values) -> Joining:
    return Joining(tuple(Piece(*piece) for piece in row["pieces"]), row["into"])


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


def lease_of(start: int, end: int, token: str, at: float) -> Lease:
    return Lease(token, Range(start, end), at)


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
        "rank": -assessment.priority,
        "tries": assessment.tries,
    }


def assessment_of(row: Row) -> Assessment:
    """The assessment of this row, which has all columns in their order."""
    id_, upload_id, owner, created_at, state, attempts, token, leased_until, *rest = row
    steps, finished_at, report, problem, rank, tries = rest
    return Assessment(
        id=id_,
        upload_id=upload_id,
        owner=owner,
        created_at=created_at,
        state=AssessmentState(state),
        attempts=attempts,
        token=token,
        leased_until=leased_until,
        steps=tuple(Step(**step) for step in steps),
        finished_at=finished_at,
        report=report,
        problem=problem,
        priority=-rank,
        tries=tries,
    )


def delivery_row(delivery: Delivery) -> Values:
    return {**asdict(delivery), "state": delivery.state.value}


def delivery_of(row: Row) -> Delivery:
    """The delivery of this row, which has all columns in their order."""
    id_, url, type_, payload, date, state, *rest = row
    return Delivery(id_, url, type_, payload, date, DeliveryState(state), *rest)


def ticket_row(ticket: Ticket) -> Values:
    return asdict(ticket)


def ticket_of(row: Row) -> Ticket:
    """The ticket of this row, which has all columns in their order."""
    return Ticket(*row)


def path_row(path: Path) -> Values:
    return {**asdict(path), "reports": [asdict(report) for report in path.reports]}


def path_of(row: Row) -> Path:
    """The path of this row, which has all columns in their order."""
    host, seen_at, passes, passed_at, reports, found_by = row
    read = tuple(_report_of(report) for report in reports)
    return Path(host, seen_at, passes, passed_at, read, found_by)


def _report_of(fields: Values) -> Report:
    return Report(**{**fields, "denied_by": tuple(fields.get("denied_by", ()))})
