"""`wherry migrate --from sqlite` moves an installation into a database without loss."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from tests.cli.command import wherry
from tests.e2e.conftest import Api

from wherry.app import backends, migrating
from wherry.app.backends import MOVED, open_catalog
from wherry.catalog import Catalog
from wherry.catalog.sqlite import connections as sqlite
from wherry.core.errors import StorageFailed
from wherry.settings import Settings
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_upload
from wherry.testing.s3 import BUCKET, S3Server
from wherry.testing.server import Server, serving

CHUNK = 1 << 16


def status(api: Api, upload_id: object) -> dict[str, object]:
    """Without what passes at the host: the server has another port, and so another host."""
    return {name: value for name, value in api.status(upload_id).items() if name != "path"}


def test_an_installation_moves_with_its_uploads_and_goes_on(tmp_path: Path, database: str) -> None:
    data, content = tmp_path / "data", os.urandom(2 * CHUNK)
    move = ("migrate", "--from", "sqlite", "--data", data, "--database", database)
    with serving(data, assessment=False) as server:
        with Api(server.url) as api:
            whole = api.init(len(content))["upload_id"]
            half = api.init(len(content), filename="half.mp4")["upload_id"]
            for upload_id, at in ((whole, 0), (whole, CHUNK), (half, 0)):
                assert api.chunk(upload_id, at, content[at : at + CHUNK]).status_code == 200
            assert api.complete(whole).status_code == 200
            before = [status(api, upload_id) for upload_id in (whole, half)]
        refused = wherry(*move, code=1)
        assert "a server is running" in refused.stderr
    not_moved = Server(data, database=database)
    with pytest.raises(RuntimeError, match="wherry migrate --from sqlite"):
        not_moved.start()

    moved = wherry(*move)
    assert "Moved 2 uploads" in moved.stdout
    with pytest.raises(RuntimeError, match="moved to a database"):
        Server(data).start()
    with serving(data, database=database, assessment=False) as server, Api(server.url) as api:
        after = [status(api, upload_id) for upload_id in (whole, half)]
        for old, new in zip(before, after, strict=True):
            times = {"expires_at", "created_at"}
            assert {k: v for k, v in new.items() if k not in times} == {
                k: v for k, v in old.items() if k not in times
            }
        assert api.chunk(half, CHUNK, content[CHUNK:]).status_code == 200
        assert api.complete(half).status_code == 200
        assert api.http.get("/chunked-upload/storage").json()["used"] == 2 * len(content)
    [stored] = (data / "files").glob(f"{half}.*")
    assert stored.read_bytes() == content


def test_files_in_an_object_store_belong_to_the_database_afterwards(
    tmp_path: Path, database: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    store = {"storage": f"s3://{BUCKET}/{tmp_path.name}", "s3_endpoint": s3_server.endpoint}
    data, content = tmp_path / "data", os.urandom(2 * CHUNK)
    with serving(data, assessment=False, **store) as server, Api(server.url) as api:
        half = api.init(len(content))["upload_id"]
        assert api.chunk(half, 0, content[:CHUNK]).status_code == 200
    wherry("migrate", "--from", "sqlite", "--data", data, "--database", database)
    with (
        serving(data, assessment=False, database=database, **store) as server,
        Api(server.url) as api,
    ):
        assert api.chunk(half, CHUNK, content[CHUNK:]).status_code == 200
        assert api.complete(half).status_code == 200


def test_no_record_moves_while_a_process_that_does_not_lead_has_the_catalog_open(
    tmp_path: Path, database: str
) -> None:
    """A server that finishes its last requests, or a worker."""
    catalog = open_catalog(Settings(data=tmp_path))
    try:
        catalog.submit_create(new_upload("u")).result(CHECK_TIMEOUT)
        with pytest.raises(RuntimeError, match="has the catalog open"):
            migrating.move(Settings(data=tmp_path, database=database))
        catalog.submit_create(new_upload("v")).result(CHECK_TIMEOUT)
    finally:
        asyncio.run(catalog.close())
    assert migrating.move(Settings(data=tmp_path, database=database))["uploads"] == 2
    left = {path.name for path in tmp_path.glob("catalog.*")}
    assert left == {MOVED, "catalog.sqlite-ballast"}, "the old catalog is one file, without a log"


def test_what_is_recorded_while_the_records_move_is_not_acknowledged(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server starts when no process had the catalog open, and another one a moment later."""
    here, move_clock = Settings(data=tmp_path), migrating._move_clock
    asyncio.run(open_catalog(here).close())
    late: list[Catalog] = []
    recorded: list[Future[Any]] = []

    def close_log(engine: Engine, close_log: Any = sqlite.close_log) -> bool:
        is_alone: bool = close_log(engine)
        late.append(open_catalog(here))
        return is_alone

    def before_the_rename(settings: Settings) -> None:
        move_clock(settings)
        with (
            closing(sqlite3.connect(tmp_path / "catalog.sqlite", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        recorded.append(late[0].submit_create(new_upload("late")))
        recorded.append(threads.submit(open_catalog, here))

    monkeypatch.setattr(sqlite, "close_log", close_log)
    monkeypatch.setattr(migrating, "_move_clock", before_the_rename)
    with ThreadPoolExecutor() as threads:
        assert migrating.move(Settings(data=tmp_path, database=database))["uploads"] == 0
        assert len(recorded) == 2
        for each in recorded:
            with pytest.raises((StorageFailed, FileNotFoundError)):
                each.result(CHECK_TIMEOUT)
    asyncio.run(late[0].close())
    assert not (tmp_path / "catalog.sqlite").exists()


def test_a_catalog_that_moves_while_a_server_opens_it_is_not_replaced_by_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, path, check = Settings(data=tmp_path), tmp_path / "catalog.sqlite", backends.check_catalog
    asyncio.run(open_catalog(here).close())

    def check_and_move(settings: Settings) -> None:
        check(settings)
        path.rename(path.with_name(MOVED))

    monkeypatch.setattr(backends, "check_catalog", check_and_move)
    with pytest.raises(StorageFailed):
        open_catalog(here)
    assert not path.exists()


def test_records_are_not_mixed_with_others(tmp_path: Path, database: str) -> None:
    for name in ("one", "other"):
        with serving(tmp_path / name, assessment=False) as server, Api(server.url) as api:
            api.init(CHUNK)
    options = ("--from", "sqlite", "--database", database, "--data")
    wherry("migrate", *options, tmp_path / "one")
    refused = wherry("migrate", *options, tmp_path / "other", code=1)
    assert "has records already" in refused.stderr
    assert (tmp_path / "other" / "catalog.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "--database"),
        (("--database", "postgresql://h/d", "--storage", "s3://bucket/x"), "files"),
        (("--database", "postgresql://h/d"), "no records to move"),
    ],
)
def test_what_cannot_be_moved_is_said_so(
    tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    refused = wherry("migrate", "--from", "sqlite", "--data", tmp_path, *options, code=1)
    assert problem in refused.stderr
