"""The standalone server's short way to its operations: the same answers, without FastAPI."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import fastapi.dependencies.utils
import fastapi.routing
import httpx2
import pytest
from fastapi import FastAPI
from tests.server.conftest import server

from wherry.protocols.direct import Direct
from wherry.router import chunked_upload_router
from wherry.server import create_app
from wherry.settings import Settings

pytestmark = pytest.mark.anyio

ID = "a" * 24
#: A request for each operation, and some that no operation takes.
REQUESTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/chunked-upload/init", {"json": {"filename": "a.bin", "size": 3}}),
    ("POST", "/api/chunked-upload/init", {"content": b"{}"}),
    ("POST", f"/api/chunked-upload/chunk?upload_id={ID}&offset=0", {"content": b"abc"}),
    ("POST", "/api/chunked-upload/complete", {"json": {"upload_id": ID}}),
    ("POST", "/api/chunked-upload/cancel", {"json": {"upload_id": ID}}),
    ("POST", "/api/chunked-upload/upload", {"files": {"file": ("a.bin", b"abc")}}),
    ("POST", "/api/upload", {"files": {"file": ("a.bin", b"abc")}}),
    ("DELETE", f"/api/chunked-upload/{ID}", {}),
    ("GET", f"/api/chunked-upload/{ID}", {}),
    ("HEAD", f"/api/chunked-upload/{ID}", {}),
    ("GET", f"/api/chunked-upload/{ID}/events", {}),
    ("GET", "/api/chunked-upload/", {}),
    ("GET", "/api/chunked-upload", {}),
    ("GET", "/api/chunked-upload/accepted", {}),
    ("GET", "/api/chunked-upload/all", {}),
    ("GET", "/api/chunked-upload/storage", {}),
    ("GET", "/api/chunked-upload/overview", {}),
    ("GET", f"/api/chunked-upload/all/{ID}", {}),
    ("DELETE", f"/api/chunked-upload/all/{ID}", {}),
    ("POST", "/api/chunked-upload/sweep", {"json": {"dry_run": True}}),
    ("GET", "/api/chunked-upload/metrics", {}),
    ("GET", f"/api/files/{ID}", {}),
    ("GET", f"/api/chunked-upload/files/{ID}", {}),
    ("DELETE", f"/api/files/{ID}", {}),
    ("GET", "/api/chunked-upload/a%2Fb", {}),
    ("GET", "/api/chunked-upload/init", {}),
    ("PUT", "/api/chunked-upload/init", {}),
    ("POST", "/api/chunked-upload/metrics", {"content": b"abc"}),
    ("GET", "/api/nothing", {}),
    ("OPTIONS", "/api/upload", {}),
)


def _described(answer: httpx2.Response) -> tuple[object, ...]:
    """What is the same whenever it is asked: no ids, no times, no counts."""
    names = {*answer.headers} - {"content-length"}
    kind = answer.headers.get("content-type", "")
    keys: object = sorted(answer.json()) if kind.endswith("json") and answer.content else None
    return answer.status_code, sorted(names), kind, keys


async def test_both_ways_give_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(tmp_path / "direct") as client:
        direct = [_described(await client.request(m, p, **o)) for m, p, o in REQUESTS]
    monkeypatch.setattr(Direct, "_find", lambda *_: None)
    async with server(tmp_path / "fastapi") as client:
        routed = [_described(await client.request(m, p, **o)) for m, p, o in REQUESTS]
    for request, one, other in zip(REQUESTS, direct, routed, strict=True):
        assert one == other, request


async def test_requests_for_uploads_do_not_reach_fastapi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> NoReturn:
        raise AssertionError("FastAPI was asked")

    monkeypatch.setattr(fastapi.routing.APIRouter, "app", refuse)
    async with server(tmp_path) as client:
        begun = await client.post("/api/chunked-upload/init", json={"filename": "a.bin", "size": 3})
        id_ = begun.json()["upload_id"]
        where = f"/api/chunked-upload/chunk?upload_id={id_}&offset=0"
        assert (await client.post(where, content=b"abc")).status_code == 200
        done = await client.post("/api/chunked-upload/complete", json={"upload_id": id_})
        assert done.status_code == 200
        assert (await client.get(f"/api/chunked-upload/{id_}")).status_code == 200
        assert (await client.get(f"/api/files/{id_}")).content == b"abc"


async def test_an_unforeseen_error_is_answered_with_500(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("wherry.engine.Engine.status", fail)
    api = create_app(Settings(data=tmp_path, assessment=False, min_free=0), "127.0.0.1")
    transport = httpx2.ASGITransport(api, raise_app_exceptions=False)
    async with (
        api.router.lifespan_context(api),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert (await client.get(f"/api/chunked-upload/{ID}")).status_code == 500


async def test_in_an_application_nothing_of_ours_needs_a_thread_before_the_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI calls dependencies that are no coroutines on a thread."""

    async def refuse(*_: object) -> NoReturn:
        raise AssertionError("a thread was asked for")

    async def owner() -> str:
        return "alice"

    api = FastAPI()
    options: dict[str, Any] = {"data": tmp_path, "assessment": False, "min_free": 0}
    api.include_router(chunked_upload_router(owner=owner, **options))
    monkeypatch.setattr(fastapi.dependencies.utils, "run_in_threadpool", refuse)
    transport = httpx2.ASGITransport(api)
    async with (
        api.router.lifespan_context(api),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert (await client.get("/chunked-upload/")).status_code == 200
        assert (await client.get("/chunked-upload/storage")).status_code == 404
