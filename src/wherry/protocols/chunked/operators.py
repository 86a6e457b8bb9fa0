"""What operators ask for: all uploads with what only operators see, the overview, the sweep.

Rule 1: every operation here is `is_operators`, and the engine refuses all other callers as well.
"""

from __future__ import annotations

import platform
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from wherry import __version__
from wherry.core.assessment import AssessmentState
from wherry.core.paths import PathSummary
from wherry.core.requests import Caller
from wherry.core.upload import State, Upload
from wherry.engine import Engine, Overview
from wherry.protocols.answers import NOT_STORED, JsonAnswer, render_time
from wherry.protocols.chunked.models import StorageUse, UploadStatus, render_storage, status_fields
from wherry.protocols.parsing import parse_id, read_model

#: How many items the answer of a sweep names.
MOST_NAMED = 100


class OperatorsUpload(UploadStatus):
    """An upload of any owner, with the moments of its life as far as they are recorded."""

    owner: str
    created_at: datetime
    queued_at: datetime | None = Field(
        description="Since when it has been in the queue; null: it is not."
    )
    admitted_at: datetime | None = Field(
        description="When it was last admitted; null where that never was, or is not recorded."
    )
    last_byte_at: datetime | None = Field(description="Of the newest bytes that are safe.")
    completed_at: datetime | None


class OperatorsPage(BaseModel):
    """A page of the list of all uploads."""

    uploads: list[OperatorsUpload]
    next: str | None = Field(
        description="The value of `after` for the next page; null on the last page."
    )


class KnownPath(BaseModel):
    """What is known of the way to one public host. Sizes in bytes."""

    host: str
    passes: int | None = Field(description="The largest body that has arrived in the last week.")
    passed_at: datetime | None
    refuses: int | None = Field(description="The smallest body that is refused on the way.")
    refused_at: datetime | None
    refused_by: str | None = Field(description="Which proxy that is, as far as clients can tell.")
    owners: int = Field(description="How many owners have reported a refusal.")
    confirmed: bool = Field(description="Whether they are enough for all clients to be told.")
    passed_since: bool = Field(
        description="Whether bodies of the reported sizes have arrived after each report."
    )
    address: str | None = Field(description="Of the API, in the newest report that has one.")


class UploadCounts(BaseModel):
    """Unfinished uploads by state."""

    waiting: int
    receiving: int
    completing: int


class AssessmentCounts(BaseModel):
    """Assessments by state; those that are done are not counted."""

    queued: int
    running: int
    failed: int


class WorkerFacts(BaseModel):
    """The process that assesses."""

    state: str = Field(json_schema_extra={"enum": ["starting", "working", "failing"]})
    problem: str | None


class OverviewFacts(BaseModel):
    """How the server is. Sizes in bytes."""

    at: datetime = Field(description="By the server's clock.")
    version: str
    python: str
    problems: list[str] = Field(
        description="What keeps uploads from being taken or assessed, a sentence each."
    )
    uploads: UploadCounts
    max_open: int | None = Field(description="How many may be open at once; null is no limit.")
    waiting_since: datetime | None = Field(
        description="Since when the first upload in the queue has been there."
    )
    storage: StorageUse
    min_free: int = Field(description="Bytes of the volume that are never reserved for uploads.")
    assessments: AssessmentCounts
    worker: WorkerFacts | None = Field(description="Null where nothing is assessed.")
    paths: list[KnownPath]


class SweepRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    dry_run: bool = Field(False, description="Whether only to say what would be deleted.")


class SweptItem(BaseModel):
    action: str = Field(
        json_schema_extra={"enum": ["expire", "vanish", "orphan", "discard", "forget"]}
    )
    upload_id: str
    bytes: int


class SweepResult(BaseModel):
    """What was deleted, or would be."""

    dry_run: bool
    count: int
    bytes: int
    swept: list[SweptItem] = Field(description=f"The first {MOST_NAMED} of them.")


async def overview(request: Request, caller: Caller, engine: Engine) -> Response:
    return JsonAnswer(await look(caller, engine), headers=NOT_STORED)


async def look(caller: Caller, engine: Engine) -> OverviewFacts:
    """Raises `NotThere` but for operators."""
    found = await engine.overview(caller)
    return render_overview(found, await engine.paths.summaries(caller), engine)


async def status(request: Request, caller: Caller, engine: Engine) -> Response:
    upload_id = parse_id(request.path_params["upload_id"])
    upload = await engine.status(caller, upload_id, everybody=True)
    upload, position = await engine.with_position(upload)
    return JsonAnswer(render_upload(upload, position, engine), headers=NOT_STORED)


async def cancel(request: Request, caller: Caller, engine: Engine) -> Response:
    await engine.cancel(caller, parse_id(request.path_params["upload_id"]), everybody=True)
    return Response(status_code=204)


async def sweep(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, SweepRequest, engine.settings.chunk_timeout)
    swept = await engine.sweep(wanted.dry_run)
    named = [
        SweptItem(action=item.action, upload_id=item.upload_id, bytes=item.bytes)
        for item in swept[:MOST_NAMED]
    ]
    return JsonAnswer(
        SweepResult(
            dry_run=wanted.dry_run,
            count=len(swept),
            bytes=sum(item.bytes for item in swept),
            swept=named,
        ),
        headers=NOT_STORED,
    )


def render_upload(upload: Upload, position: int | None, engine: Engine) -> OperatorsUpload:
    """`position`: in the queue; None for an upload that does not wait."""
    was_admitted = upload.state is not State.WAITING and (
        upload.received.count > 0 or upload.slot_until > 0 or upload.is_complete()
    )
    return OperatorsUpload(
        **status_fields(upload, position, engine, None),
        owner=upload.owner,
        created_at=render_time(engine.date_of(upload.created_at)),
        queued_at=_time(upload.queued_at, engine),
        admitted_at=_time(upload.began_at if was_admitted else None, engine),
        last_byte_at=_time(upload.received.last_at, engine),
        completed_at=None if upload.completed_at is None else render_time(upload.completed_at),
    )


def render_path(path: PathSummary, engine: Engine) -> KnownPath:
    return KnownPath(
        host=path.host,
        passes=path.passes,
        passed_at=_time(path.passed_at, engine),
        refuses=path.refuses,
        refused_at=_time(path.refused_at, engine),
        refused_by=path.refused_by,
        owners=path.owners,
        confirmed=path.is_confirmed,
        passed_since=path.has_passed_since,
        address=path.address,
    )


def render_overview(found: Overview, paths: list[PathSummary], engine: Engine) -> OverviewFacts:
    worker = found.worker
    return OverviewFacts(
        at=render_time(engine.date),
        version=__version__,
        python=platform.python_version(),
        problems=list(found.problems),
        uploads=UploadCounts(
            waiting=found.uploads.get(State.WAITING, 0),
            receiving=found.uploads.get(State.RECEIVING, 0),
            completing=found.uploads.get(State.COMPLETING, 0),
        ),
        max_open=engine.settings.max_open,
        waiting_since=_time(found.waiting_since, engine),
        storage=render_storage(found.storage),
        min_free=engine.settings.min_free,
        assessments=AssessmentCounts(
            queued=found.assessments.get(AssessmentState.QUEUED, 0),
            running=found.assessments.get(AssessmentState.RUNNING, 0),
            failed=found.assessments.get(AssessmentState.FAILED, 0),
        ),
        worker=None
        if worker is None
        else WorkerFacts(state=worker.state.value, problem=worker.problem),
        paths=[render_path(path, engine) for path in paths],
    )


def _time(moment: float | None, engine: Engine) -> datetime | None:
    """The date of a moment of the deadline clock."""
    return None if moment is None else render_time(engine.date_of(moment))
