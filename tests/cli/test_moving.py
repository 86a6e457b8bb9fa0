"""`wherry migrate --from sqlite` moves an installation into a database without loss."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.cli.command import wherry
from tests.e2e.conftest import Api

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
