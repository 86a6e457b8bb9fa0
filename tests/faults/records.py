"""What the catalog of a stopped or running server has recorded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def complete_and_assessed(data: Path) -> tuple[int, int, int]:
    """How many uploads are complete, assessments there are, and uploads that have one."""
    with closing(sqlite3.connect(data / "catalog.sqlite")) as records:
        [complete] = records.execute(
            "SELECT count(*) FROM uploads WHERE state='complete'"
        ).fetchone()
        assessments, assessed = records.execute(
            "SELECT count(*), count(DISTINCT upload_id) FROM assessments"
        ).fetchone()
    return complete, assessments, assessed
