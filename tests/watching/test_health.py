"""`/healthz` and `/readyz` of the standalone server, and who may read its `/metrics`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from wherry import app as app_module
from wherry.auth import Keys, keys_file
from wherry.engine import watching
from wherry.server import create_app
from wherry.settings import Settings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def server(data: Path, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(data=data, **({"assessment": False, "min_free": 0} | options))
    api = create_app(settings, "127.0.0.1")
    transport = httpx2.ASGITransport(api)
    async with (
        api.router.lifespan_context(api),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_AGE", 0.0)


def check_unready(answer: httpx2.Response, problem: str) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["code"], told["retryable"]) == (503, "not-ready", True)
    [only] = told["problems"]
    assert problem in only
    assert told["detail"] == only


async def test_a_server_with_room_is_ready(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_a_volume_without_room_for_new_uploads_still_serves_the_open_ones(
    tmp_path: Path,
) -> None:
    async with server(tmp_path, min_free=1 << 60) as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_a_folder_that_cannot_be_written_takes_no_uploads(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        # Moved and not removed: a folder that is gone is made again, perhaps before the next line.
        chunks, aside = tmp_path / "temp_chunks", tmp_path / "aside"
        chunks.rename(aside)
        chunks.write_text("in the way")
        check_unready(await client.get("/readyz"), "storage cannot be written")
        chunks.unlink()
        aside.rename(chunks)
        assert (await client.get("/readyz")).status_code == 200


async def test_the_return_of_storage_is_logged_once_and_its_absence_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wherry")
    data, aside = tmp_path / "data", tmp_path / "aside"
    async with server(data) as client:
        assert (await client.get("/readyz")).status_code == 200
        data.rename(aside)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        for problem in answer.json()["problems"]:
            assert problem.lower().count("storage") <= 1, problem
            assert "failed: " not in problem
        assert "storage-recovered" not in caplog.text
        aside.rename(data)
        for _ in range(3):
            assert (await client.get("/readyz")).status_code == 200
    assert caplog.text.count("storage-recovered") == 1


async def test_a_catalog_that_does_not_answer_takes_no_uploads(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        catalog, aside = tmp_path / "catalog.sqlite", tmp_path / "aside"
        catalog.rename(aside)
        check_unready(await client.get("/readyz"), "catalog does not answer")
        aside.rename(catalog)


async def test_a_server_that_is_stopping_takes_no_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "is_server_stopping", lambda: True)
    async with server(tmp_path) as client:
        check_unready(await client.get("/readyz"), "stopping")


async def test_many_questions_are_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_AGE", 3600.0)
    async with server(tmp_path) as client:
        assert (await client.get("/readyz")).status_code == 200
        (tmp_path / "temp_chunks").rmdir()
        (tmp_path / "temp_chunks").write_text("in the way")
        assert (await client.get("/readyz")).status_code == 200


async def test_metrics_are_for_operators_keys(tmp_path: Path) -> None:
    keys = Keys(keys_file(tmp_path))
    plain, operators = keys.add("alice"), keys.add("prometheus", operator=True)

    async with server(tmp_path) as client:

        async def status(key: str | None) -> int:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return (await client.get("/metrics", headers=headers)).status_code

        assert [await status(key) for key in (None, "wrong", plain, operators)] == [
            401,
            401,
            404,
            200,
        ]
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200


async def test_anonymous_metrics_are_for_this_machine(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        assert (await client.get("/metrics")).status_code == 200
        foreign = {"Host": "uploads.example"}
        assert (await client.get("/metrics", headers=foreign)).status_code == 403
