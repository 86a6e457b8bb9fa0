"""Assessments: one record a video, processed in the background, one at a time."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from database import BACKEND, connect
from video import describe

log = logging.getLogger("assessments")

VIDEOS = BACKEND / "videos"
VIDEOS.mkdir(exist_ok=True)

_background = ThreadPoolExecutor(max_workers=1)


def begin(assessment_id: str, user_id: int, filename: str, video: Path) -> None:
    """Record an assessment and process it in the background."""
    with connect() as database:
        database.execute(
            "INSERT OR IGNORE INTO assessments (id, user_id, filename, video) VALUES (?, ?, ?, ?)",
            (assessment_id, user_id, filename, str(video)),
        )
    _background.submit(_process, assessment_id)


def resume() -> None:
    """Take up what the last process left behind."""
    with connect() as database:
        database.execute("UPDATE assessments SET status = 'queued' WHERE status = 'processing'")
        left = database.execute("SELECT id FROM assessments WHERE status = 'queued'").fetchall()
    for (assessment_id,) in left:
        _background.submit(_process, assessment_id)


def stop() -> None:
    """Begin nothing more; what waits is taken up by `resume`."""
    _background.shutdown(wait=False, cancel_futures=True)


def find(assessment_id: str, user_id: int) -> dict[str, Any] | None:
    with connect() as database:
        found = database.execute(
            "SELECT filename, status, result FROM assessments WHERE id = ? AND user_id = ?",
            (assessment_id, user_id),
        ).fetchone()
    if found is None:
        return None
    filename, status, result = found
    return {
        "assessment_id": assessment_id,
        "filename": filename,
        "status": status,
        "result": result and json.loads(result),
    }


def _process(assessment_id: str) -> None:
    with connect() as database:
        taken = database.execute(
            "UPDATE assessments SET status = 'processing' WHERE id = ? AND status = 'queued'"
            " RETURNING video",
            (assessment_id,),
        ).fetchone()
    if taken is None:
        return
    status, result = "done", None
    try:
        result = json.dumps(describe(Path(taken[0])))
    except Exception:
        log.exception("assessment %s failed", assessment_id)
        status = "failed"
    with connect() as database:
        database.execute(
            "UPDATE assessments SET status = ?, result = ? WHERE id = ?",
            (status, result, assessment_id),
        )
