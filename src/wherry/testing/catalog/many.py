"""Fills a catalog with many records, to measure what becomes slower with them.

Rule 1: the rows are equal to those that the catalog itself writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert

from wherry.catalog.sql.rows import assessment_row, part_row, upload_row
from wherry.catalog.sql.tables import assessments, parts, uploads
from wherry.catalog.sqlite import connections
from wherry.core.assessment import Assessment, AssessmentState, Step
from wherry.core.limits import MiB
from wherry.core.ranges import Part, PartSet
from wherry.core.upload import State, Upload

#: How many rows one statement writes.
BATCH = 5_000
#: Bytes of each file.
SIZE = 5 * MiB


def fill(
    path: Path,
    count: int,
    owners: int = 1,
    ended: float = 0.0,
    assessed: AssessmentState = AssessmentState.DONE,
) -> None:
    """Write `count` complete uploads with their assessments into the catalog at `path`.

    They belong to `owner-0`, `owner-1` and so on in turn, and are one second apart; the last one
    was created at `ended` (Unix seconds). Assessments that are queued have every priority.
    """
    engine = connections.open_engine(connections.parse_url(path), 2)
    connections.migrate(engine)
    for first in range(0, count, BATCH):
        some = list(_complete(range(first, min(first + BATCH, count)), owners, ended - count))
        with connections.writing(engine) as connection, connection.begin():
            connection.execute(insert(uploads), [upload_row(u) for u in some])
            connection.execute(
                insert(parts), [part_row(u.id, p) for u in some for p in u.received.parts]
            )
            made = [
                assessment_row(_assessment(u, assessed, number % 201 - 100))
                for number, u in enumerate(some)
            ]
            connection.execute(insert(assessments), made)
    engine.dispose()


def _complete(numbers: range, owners: int, begun: float) -> Iterator[Upload]:
    for number in numbers:
        at = begun + number + 1
        yield Upload(
            id=f"{number:032x}",
            owner=f"owner-{number % owners}",
            filename=f"recording {number}.mp4",
            limit=SIZE,
            length=SIZE,
            chunk_size=SIZE,
            created_at=at,
            content_type="video/mp4",
            fingerprint=f"recording {number}.mp4 {SIZE}",
            state=State.COMPLETE,
            received=PartSet((Part(0, SIZE, number, at),)),
            assessment_id=f"{number:031x}a",
        )


def _assessment(upload: Upload, state: AssessmentState, priority: int) -> Assessment:
    new = Assessment(upload.assessment_id or "", upload.id, upload.owner, upload.created_at)
    if state is AssessmentState.QUEUED:
        return replace(new, priority=priority)
    return replace(
        new,
        state=state,
        attempts=1,
        steps=(Step("probe", "done", 0.1), Step("integrity", "done", 0.5)),
        finished_at=upload.created_at,
        report={"schema": "assessment.v1", "verdict": "pass", "findings": []},
    )
