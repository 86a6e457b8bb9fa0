"""A limit on bodies that the application around has, and one of ours (both ends of FastAPI)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import ValidationError
from starlette.types import ASGIApp
from tests.protocols.conftest import owner_of_token
from tests.protocols.problems import problem

from wherry.protocols import bodylimit
from wherry.router import chunked_upload_router
from wherry.settings import Settings

pytestmark = pytest.mark.anyio

KiB, MiB = 1 << 10, 1 << 20
LIMITER: Any = vars(bodylimit)["RequestBodyLimitMiddleware"]
HAS_LIMITS = bodylimit._FASTAPI_HAS_ONE
#: Where a host may have its limit; the last is all that older versions of FastAPI can.
PLACES = (["application", "router", "include"] if HAS_LIMITS else []) + (
    ["middleware"] if LIMITER is not None else []
)

each_place = pytest.mark.parametrize(
    "place",
    PLACES or [pytest.param("none", marks=pytest.mark.skip("this Starlette has no limit"))],
)


def application(data: Path, place: str, limit: int, **settings: Any) -> FastAPI:
    """A host with this limit, and a route of its own."""
    options: dict[str, Any] = {"data": data, "min_free": 0, "assessment": False, **settings}
    ours = chunked_upload_router(owner=owner_of_token, **options)
    here: dict[str, Any] = {"max_body_size": limit}
    host = FastAPI(**(here if place == "application" else {}))
    router = APIRouter(**(here if place == "router" else {}))
    router.include_router(ours, **(here if place == "include" else {}))
    host.include_router(router, prefix="/api")
    if place == "middleware":
        host.add_middleware(LIMITER, max_body_size=limit)
    return host


@asynccontextmanager
async def client_of(host: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    app: ASGIApp = host
    async with (
        host.router.lifespan_context(host),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://test/api",
            headers={"Authorization": "Bearer alice"},
        ) as client,
    ):
        yield client


async def begin(client: httpx2.AsyncClient, size: int, **more: Any) -> dict[str, Any]:
    wanted = {"filename": "film.mp4", "size": size} | more
    answer = await client.post("/chunked-upload/init", json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def send(client: httpx2.AsyncClient, upload_id: str, size: int) -> httpx2.Response:
    params: dict[str, Any] = {"upload_id": upload_id, "offset": 0}
    return await client.post("/chunked-upload/chunk", params=params, content=bytes(size))


async def send_form(client: httpx2.AsyncClient, upload_id: str, size: int) -> httpx2.Response:
    fields = {"upload_id": upload_id, "offset": "0", "note": "x" * 1000}
    files = {"chunk": ("film.mp4.part", bytes(size))}
    return await client.post("/chunked-upload/chunk", data=fields, files=files)


@each_place
async def test_a_limit_of_the_application_does_not_reach_our_routes(
    tmp_path: Path, place: str
) -> None:
    async with client_of(application(tmp_path, place, 1 * MiB)) as client:
        found = await begin(client, 30 * MiB)
        assert found["chunk_size"] == 5 * MiB
        assert (await send(client, found["upload_id"], 5 * MiB)).status_code == 200
        assert (await send_form(client, found["upload_id"], 5 * MiB)).status_code == 200
        whole = await client.post("/chunked-upload/upload", files={"file": ("a", bytes(3 * MiB))})
        assert whole.json()["size"] == 3 * MiB


@each_place
async def test_a_limit_of_the_application_holds_where_it_is_wanted(
    tmp_path: Path, place: str
) -> None:
    async with client_of(application(tmp_path, place, 1 * MiB, max_body="host")) as client:
        found = await begin(client, 30 * MiB)
        offered = found["chunk_size"]
        assert 900 * KiB < offered == found["limits"]["max_chunk"] < 1 * MiB
        larger = await begin(client, 30 * MiB, chunk_size=8 * MiB)
        assert larger["chunk_size"] == offered
        assert (await send(client, found["upload_id"], offered)).status_code == 200
        assert (await send_form(client, found["upload_id"], offered)).status_code == 200
        refused = problem(await send(client, found["upload_id"], 2 * MiB), 413, "too-large")
        assert (refused["limit"], refused["scope"]) == (1 * MiB, "request")


async def test_a_limit_of_our_own_holds_in_any_version(tmp_path: Path) -> None:
    host = application(tmp_path, "", 0, max_body="1MiB")
    async with client_of(host) as client:
        found = await begin(client, 30 * MiB)
        offered = found["chunk_size"]
        assert 900 * KiB < offered == found["limits"]["max_chunk"] < 1 * MiB
        assert (await send(client, found["upload_id"], offered)).status_code == 200
        assert (await send_form(client, found["upload_id"], offered)).status_code == 200
        answer = await send(client, found["upload_id"], 2 * MiB)
        assert problem(answer, 413, "too-large")["limit"] == 1 * MiB
        whole = await client.post("/chunked-upload/upload", files={"file": ("a", bytes(2 * MiB))})
        assert problem(whole, 413, "too-large")["scope"] == "request"


@each_place
async def test_our_limit_may_be_smaller_or_larger_than_the_applications(
    tmp_path: Path, place: str
) -> None:
    for ours, theirs in ((1 * MiB, 4 * MiB), (4 * MiB, 1 * MiB)):
        host = application(tmp_path / str(ours), place, theirs, max_body=ours)
        async with client_of(host) as client:
            found = await begin(client, 30 * MiB)
            assert found["chunk_size"] == ours - 64 * KiB
            assert (await send_form(client, found["upload_id"], ours - 64 * KiB)).is_success
            answer = await send(client, found["upload_id"], ours + 1)
            assert problem(answer, 413, "too-large")["limit"] == ours


async def test_without_any_limit_nothing_changes(tmp_path: Path) -> None:
    for max_body in (None, "host"):
        host = application(tmp_path / str(max_body), "", 0, max_body=max_body)
        async with client_of(host) as client:
            found = await begin(client, 30 * MiB)
            assert (found["chunk_size"], found["limits"]["max_chunk"]) == (5 * MiB, 64 * MiB)


@pytest.mark.parametrize("max_body", ["100KiB", "nobody", "-1"])
def test_a_limit_that_no_chunk_fits_is_refused_at_the_start(max_body: str) -> None:
    with pytest.raises(ValidationError, match="max_body"):
        Settings.model_validate({"max_body": max_body})
