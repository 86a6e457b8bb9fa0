"""A catalog as an earlier version left it; that of version 0004, with one record of each kind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, inspect

from wherry.catalog import Catalog
from wherry.catalog.sql import migrations
from wherry.catalog.sql.rows import upload_row
from wherry.catalog.sql.tables import assessments, deliveries, installation, parts, uploads
from wherry.core.assessment import Assessment
from wherry.core.installation import Installation
from wherry.core.ranges import Part
from wherry.testing.catalog.fixtures import new_upload

UPLOAD, PART = "u", Part(0, 10, 7, 1.0)
_ASSESSMENT = {
    "id": "a",
    "upload_id": UPLOAD,
    "owner": "o",
    "created_at": 1.0,
    "state": "queued",
    "attempts": 0,
    "leased_until": 0.0,
    "steps": [],
}
_DELIVERY = {
    "id": "d",
    "url": "https://example.org",
    "type": "upload.completed",
    "payload": "{}",
    "date": 1.0,
    "state": "pending",
    "attempts": 0,
    "due_at": 1.0,
}


def migrate_to(number: int, connection: Connection, folder: Path) -> None:
    """Run the migrations up to this one, copied into a new folder, in an open transaction."""
    newer = (f"v{n:04}_*" for n in range(number + 1, 100))
    ignored = shutil.ignore_patterns("__pycache__", *newer)
    shutil.copytree(Path(migrations.__file__).parent, folder, ignore=ignored)
    migrations.migrate(connection, str(folder))


def fill(connection: Connection, folder: Path) -> None:
    """Make tables and records of version 0004. As `migrate_to`."""
    migrate_to(4, connection, folder)
    known = {column["name"] for column in inspect(connection).get_columns("uploads")}
    row = {name: value for name, value in upload_row(new_upload(UPLOAD)).items() if name in known}
    part: dict[str, Any] = {"upload_id": UPLOAD, "start": 0, "end": 10, "crc": 7, "at": 1.0}
    for table, values in (
        (uploads, row),
        (parts, part),
        (assessments, _ASSESSMENT),
        (deliveries, _DELIVERY),
        (installation, {"catalog": "c", "storage": "s"}),
    ):
        connection.execute(insert(table).values(values))


async def check_filled(catalog: Catalog) -> None:
    """All records are there, and what is new in them has its default."""
    upload = await catalog.load(UPLOAD)
    assert upload.received.parts == (PART,)
    assert (upload.owner, upload.ticket_id) == ("o", None)
    assert upload.completed_at is upload.ended_at is None
    assert await catalog.load_assessment("a") == Assessment("a", UPLOAD, "o", 1.0)
    assert await catalog.identify("other") == Installation("c", "s")
    assert [delivery.id for delivery in await catalog.deliveries()] == ["d"]
