"""A whole server in this process: real storage, real catalog, HTTP over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Header, HTTPException
from tests.protocols.described import Described

from wherry.engine import FinishedFile
from wherry.protocols import waiting
from wherry.router import chunked_upload_router, tus_router

KiB, LARGEST = 1024, 1 << 30
PathsOf = Callable[[FastAPI, dict[str, Any]], dict[str, Any]]
Serve = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


def owner_of_token(authorization: Annotated[str, Header()] = "") -> str:
    if not authorization.startswith("Bearer "):
        raise HTTPException(401)
    return authorization.removeprefix("Bearer ")


def is_admin(authorization: Annotated[str, Header()] = "") -> bool:
    return authorization == "Bearer admin"


@pytest.fixture(scope="session")
def paths_of() -> PathsOf:
    """OpenAPI's paths of an application with these options, made once for all tests with them."""
    known: dict[str, dict[str, Any]] = {}

    def paths(host: FastAPI, options: dict[str, Any]) -> dict[str, Any]:
        if (key := str(options)) not in known:
            known[key] = host.openapi()["paths"]
        return known[key]

    return paths


@asynccontextmanager
async def serving(
    data: Path, paths_of: PathsOf, **options: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    settings: dict[str, Any] = {"data": data, "min_free": 0, "assessment": False}
    settings |= options
    host = FastAPI()
    router = chunked_upload_router(owner=owner_of_token, operator=is_admin, **settings)
    host.include_router(router, prefix="/api")
    host.include_router(tus_router(router), prefix="/api/files")
    transport = httpx2.ASGITransport(host)
    async with (
        host.router.lifespan_context(host),
        httpx2.AsyncClient(
            transport=transport,
            base_url="http://test/api",
            headers={"Authorization": "Bearer alice"},
            event_hooks={"response": [Described(paths_of(host, options))]},
        ) as client,
    ):
        yield client


@pytest.fixture
def serve(tmp_path: Path, paths_of: PathsOf) -> Serve:
    return partial(serving, tmp_path, paths_of)


@pytest.fixture(scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, paths_of: PathsOf
) -> AsyncIterator[httpx2.AsyncClient]:
    """One server for the tests of a module that do not mind what others have left.

    Starting one takes longer than most requests do.
    """
    data = tmp_path_factory.mktemp("shared")
    async with serving(data, paths_of, max_open=None) as client:
        yield client


@pytest.fixture
def refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For clients that cannot wait in the queue, a refusal may wait for a while."""
    monkeypatch.setattr(waiting, "LONGEST_WAIT", 0.0)


# One function for all tests, so that `paths_of` makes OpenAPI's paths once.
_BEGUN: list[FinishedFile] = []


async def process(file: FinishedFile) -> str:
    """The application's own processing, which must begin once for each file."""
    _BEGUN.append(file)
    return f"assessment-{len(_BEGUN)}"


@pytest.fixture
def begun() -> list[FinishedFile]:
    """The files whose processing has begun."""
    _BEGUN.clear()
    return _BEGUN


@pytest.fixture(scope="module")
async def processing(
    tmp_path_factory: pytest.TempPathFactory, paths_of: PathsOf
) -> AsyncIterator[httpx2.AsyncClient]:
    """The same for an application with its own processing, of files up to `LARGEST`."""
    options = {"on_complete": process, "max_size": LARGEST, "max_open": None}
    async with serving(tmp_path_factory.mktemp("processing"), paths_of, **options) as client:
        yield client


@pytest.fixture
async def alone(serve: Serve) -> AsyncIterator[httpx2.AsyncClient]:
    """A server of this test alone, whose data folder is `tmp_path`."""
    async with serve() as client:
        yield client


@pytest.fixture
def client(alone: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Modules whose tests may share a server have `shared` in its place."""
    return alone


class Uploading:
    """The verbs of the chunked API as a client calls them."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def init(self, size: Any, filename: Any = "film.mp4", **more: Any) -> httpx2.Response:
        wanted = {"filename": filename, "size": size} | more
        return await self.client.post("/chunked-upload/init", json=wanted)

    async def begin(self, size: int, **more: Any) -> str:
        answer = await self.init(size, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["upload_id"])

    async def chunk(
        self, upload_id: str, offset: Any, data: bytes, **headers: str
    ) -> httpx2.Response:
        return await self.client.post(
            "/chunked-upload/chunk",
            params={"upload_id": upload_id, "offset": offset},
            content=data,
            headers={k.replace("_", "-"): v for k, v in headers.items()},
        )

    async def complete(self, upload_id: str, **more: Any) -> httpx2.Response:
        return await self.client.post(
            "/chunked-upload/complete", json={"upload_id": upload_id} | more
        )

    async def cancel(self, upload_id: str) -> httpx2.Response:
        return await self.client.post("/chunked-upload/cancel", json={"upload_id": upload_id})

    async def status(self, upload_id: str) -> httpx2.Response:
        return await self.client.get(f"/chunked-upload/{upload_id}")

    async def file(self, upload_id: str) -> bytes:
        answer = await self.client.get(f"/chunked-upload/files/{upload_id}")
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
def upload(client: httpx2.AsyncClient) -> Uploading:
    return Uploading(client)
