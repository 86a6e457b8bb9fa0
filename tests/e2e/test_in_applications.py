"""Wherry starts by itself in every kind of application, and once for all its processes."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from tests.e2e.conftest import make_file

from wherry.app import App
from wherry.client import AsyncClient
from wherry.core.limits import MiB
from wherry.engine.stopping import is_server_stopping
from wherry.locks.files import FileLocks
from wherry.router import chunked_upload_router
from wherry.settings import Settings
from wherry.testing.ports import free_port

pytestmark = pytest.mark.anyio

TIMEOUT = 120.0


def router_in(folder: Path) -> APIRouter:
    return chunked_upload_router(
        owner=lambda: "alice", data=folder / "data", min_free=0, on_complete=lambda file: file.id
    )


def plain(folder: Path) -> FastAPI:
    app = FastAPI()
    app.include_router(router_in(folder), prefix="/api")
    return app


def nested(folder: Path) -> FastAPI:
    """As teams have it: a router in a router, included at the end."""
    app, api = FastAPI(), APIRouter(prefix="/api")
    api.include_router(router_in(folder))
    app.include_router(api)
    return app


def mounted(folder: Path) -> FastAPI:
    app, inner = FastAPI(), FastAPI()
    inner.include_router(router_in(folder))
    app.mount("/api", inner)
    return app


def with_middleware(folder: Path) -> FastAPI:
    class Timing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            response.headers["x-timing"] = "1"
            return response

    app = nested(folder)
    app.add_middleware(Timing)
    app.add_middleware(CORSMiddleware, allow_origins=["https://page.example"])
    return app


def with_a_lifespan_of_its_own(folder: Path) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(router_in(folder), prefix="/api")
    return app


@pytest.mark.parametrize("runs_lifespan", [True, False])
@pytest.mark.parametrize(
    "build", [plain, nested, mounted, with_middleware, with_a_lifespan_of_its_own]
)
async def test_an_upload_arrives_in_every_kind_of_application(
    tmp_path: Path, build: Callable[[Path], FastAPI], runs_lifespan: bool
) -> None:
    app, film = build(tmp_path), make_file(tmp_path / "film.mp4", 6 * MiB)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if runs_lifespan:
            async with app.router.lifespan_context(app):
                yield
        else:
            yield

    transport = httpx2.ASGITransport(app)
    async with lifespan(), AsyncClient("http://host/api", transport=transport) as client:
        result = await client.upload(film)
    assert result.assessment_id == result.upload_id
    [stored] = (tmp_path / "data" / "files").iterdir()
    assert stored.read_bytes() == film.read_bytes()


async def test_a_router_that_comes_when_the_application_runs_already_works(tmp_path: Path) -> None:
    app = FastAPI()
    async with app.router.lifespan_context(app):
        app.include_router(router_in(tmp_path), prefix="/api")
        async with AsyncClient("http://host/api", transport=httpx2.ASGITransport(app)) as client:
            result = await client.upload(make_file(tmp_path / "film.mp4", 6 * MiB))
    assert result.assessment_id == result.upload_id


async def test_an_owner_that_is_no_id_is_said_to_be_none(tmp_path: Path) -> None:
    class User:
        """Its text is another one in each request."""

    app = FastAPI()
    app.include_router(chunked_upload_router(owner=User, data=tmp_path))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        with pytest.raises(TypeError, match="must be an id"):
            await client.get("/chunked-upload/")


async def test_a_process_that_could_not_lead_at_once_leads_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([OSError(errno.EMFILE, "Too many open files"), None])
    real, tries, led = FileLocks.take, list[str](), asyncio.Event()

    def take(locks: FileLocks, name: str) -> AbstractContextManager[object] | None:
        if name != "leader":
            return real(locks, name)
        tries.append(name)
        answer = next(answers, led)
        if isinstance(answer, OSError):
            raise answer
        return None if answer is None else real(locks, name)

    monkeypatch.setattr("wherry.locks.files.FileLocks.take", take)
    monkeypatch.setattr("wherry.app.POLL_INTERVAL", 0.01)
    monkeypatch.setattr("wherry.engine.sweeping.Sweeping.tidy", lambda _: led_now(led))
    async with App(Settings(data=tmp_path, assessment=False)).lifespan():
        with anyio.fail_after(TIMEOUT):
            await led.wait()
    assert len(tries) == 3


async def led_now(led: asyncio.Event) -> None:
    led.set()


def test_only_what_says_true_is_a_server_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        should_exit: object = threading.Event()

        def handle_exit(self, *_: object) -> None: ...

    server = Server()
    monkeypatch.setattr("signal.getsignal", lambda _: server.handle_exit)
    assert not is_server_stopping()
    server.should_exit = True
    assert is_server_stopping()


def test_a_setting_that_there_is_not_is_named() -> None:
    with pytest.raises(TypeError, match="max_sizes: Extra inputs are not permitted"):
        chunked_upload_router(owner=lambda: "me", max_sizes=3)


def test_routes_of_the_application_and_ours_do_not_meet(tmp_path: Path) -> None:
    routes: list[Any] = list(router_in(tmp_path).routes)
    paths = {route.path for route in routes}
    assert all(path.startswith("/chunked-upload/") for path in paths - {"/chunked-upload"})
    assert not any("assessments" in route.path for route in routes)  # they are the application's


PROGRAM = """
from fastapi import FastAPI
from wherry.router import chunked_upload_router
app = FastAPI()
app.include_router(
    chunked_upload_router(owner=lambda: "alice", data={data!r}, min_free=0), prefix="/api"
)
"""


@contextmanager
def four_workers(folder: Path) -> Iterator[str]:
    (folder / "host.py").write_text(PROGRAM.format(data=str(folder / "data")))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "host:app", "--port", str(port), "--workers", "4"]
    # On a busy machine, a process may need longer than 5 s until it answers for the first time.
    command += ["--timeout-worker-healthcheck", "60"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def workers_on(data: Path) -> dict[int, int]:
    """Processing children on this folder, with their parents."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            stat = (process / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended since
            continue
        if b"worker" in words and str(data).encode() in words and stat[0] != "Z":
            found[int(process.name)] = int(stat[1])
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/chunked-upload/").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_four_processes_have_one_processing_child_and_another_if_its_parent_dies(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with four_workers(tmp_path) as url:
        until(lambda: answers(url) and len(workers_on(data)) == 1)
        [(child, parent)] = workers_on(data).items()
        os.kill(parent, signal.SIGKILL)
        until(lambda: list(workers_on(data)) not in ([], [child]))
        until(lambda: len(workers_on(data)) == 1)
        assert workers_on(data).keys() != {child}
        assert answers(url)
    until(lambda: workers_on(data) == {})
