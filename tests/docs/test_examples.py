"""The example applications do what the pages say of them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx2
import pytest
from anyio import to_thread
from fastapi import FastAPI, HTTPException, Request
from tests.docs.pages import DOCS, blocks
from tests.parts import need_package

from wherry.client import AsyncClient, Client, ClientError, Refused, Unauthorized
from wherry.engine import FinishedFile

pytestmark = pytest.mark.anyio

EXAMPLES = DOCS / "howto" / "examples"
#: Seconds that a server may take to start or to end.
LIMIT = 120.0


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # FastAPI looks up annotations there
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def running(module: Any) -> AsyncIterator[httpx2.ASGITransport]:
    async with module.app.router.lifespan_context(module.app):
        yield httpx2.ASGITransport(module.app)


def client_of(transport: httpx2.ASGITransport, key: str | None = None) -> AsyncClient:
    return AsyncClient("http://host/api", key=key, transport=transport, patience=0.5)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOST_FOLDER", str(tmp_path / "host"))
    return load("host")


@pytest.mark.parametrize("smart", [True, False])
async def test_the_host_gets_the_file_and_its_own_job(host: Any, film: Path, smart: bool) -> None:
    async with running(host) as transport:
        async with client_of(transport, "alices-token") as client:
            done = await client.upload(film, smart=smart)
        assert done.assessment_id == done.upload_id
        async with httpx2.AsyncClient(transport=transport, base_url="http://host/api") as http:
            alice, bob = ({"Authorization": f"Bearer {name}s-token"} for name in ("alice", "bob"))
            job = (await http.get(f"/jobs/{done.assessment_id}", headers=alice)).json()
            assert Path(job["path"]).read_bytes() == film.read_bytes()
            assert (await http.get(f"/jobs/{done.assessment_id}", headers=bob)).status_code == 404
            # It was moved away, so Wherry no longer has it.
            moved = await http.get(f"/chunked-upload/files/{done.upload_id}", headers=alice)
            assert moved.status_code == 404
            # Bob is the operator.
            storage = "/chunked-upload/storage"
            assert (await http.get(storage, headers=bob)).status_code == 200
            assert (await http.get(storage, headers=alice)).status_code == 404


async def test_the_host_lets_nobody_in_without_a_login(host: Any, film: Path) -> None:
    async with running(host) as transport, client_of(transport) as client:
        with pytest.raises(Unauthorized):
            await client.upload(film)
    assert not list(host.LIBRARY.iterdir())


async def test_the_host_refuses_an_empty_file(host: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    async with running(host) as transport, client_of(transport, "alices-token") as client:
        with pytest.raises(Refused, match="the file is empty"):
            await client.upload(tmp_path / "empty")


def test_the_hosts_processing_may_be_called_again_after_a_crash(host: Any, tmp_path: Path) -> None:
    path = tmp_path / "abc.mp4"
    path.write_bytes(b"film")
    digest = "crc64nvme=:AAAAAAAAAAA=:"
    file = FinishedFile("abc", path, "film.mp4", None, 4, "alice", {}, digest)
    path.rename(host.LIBRARY / path.name)  # it was called, moved the file, and died
    assert [host.start_processing(file) for _ in range(2)] == ["abc", "abc"]
    connection = host.jobs()
    found = connection.execute("SELECT id, owner, path FROM jobs").fetchall()
    connection.close()
    assert found == [("abc", "alice", str(host.LIBRARY / "abc.mp4"))]


# Scanning.


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    scanner = tmp_path / "scanner"
    scanner.write_text(
        '#!/bin/sh\ntest -e "$0.broken" && exit 2\ngrep -q VIRUS "$1" && exit 1\nexit 0\n'
    )
    scanner.chmod(0o755)
    (tmp_path / "scanner.broken").touch()
    monkeypatch.setenv("SCANNER", str(scanner))
    monkeypatch.setenv("SCAN_DATA", str(tmp_path / "data"))
    return load("scan")


async def test_only_what_the_scanner_finds_clean_is_complete(scan: Any, tmp_path: Path) -> None:
    bad, good, broken = (tmp_path / name for name in ("bad", "good", "scanner.broken"))
    bad.write_text("a VIRUS")
    good.write_text("a film")
    async with running(scan) as transport, client_of(transport) as client:
        with pytest.raises(ClientError, match="before_complete failed"):
            await client.upload(good)
        broken.unlink()
        with pytest.raises(Refused, match="the scanner found something"):
            await client.upload(bad)
        done = await client.upload(good)
        assert (await client.status(done.upload_id)).state == "complete"
    assert [path.stem for path in (tmp_path / "data" / "files").iterdir()] == [done.upload_id]


# Other frameworks, and Gunicorn.


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "0123456789abcdef" * 4)
    monkeypatch.setenv("UPLOADS", str(tmp_path / "uploads"))
    monkeypatch.setenv("DATABASE", str(tmp_path / "db.sqlite3"))


async def check_uploads(app: Any, film: Path, login: dict[str, Any]) -> str:
    """Upload with a session, with a token and with neither; what `/` answers to the session."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as http:
        assert (await http.post("/login", **login)).status_code == 200
        with film.open("rb") as file:
            sent = await http.post("/api/chunked-upload/upload", files={"file": file})
        done = sent.raise_for_status().json()
        assert done["assessment_id"] == f"job-{done['upload_id']}"
        got = await http.get(f"/api/chunked-upload/files/{done['upload_id']}")
        assert got.content == film.read_bytes()
        async with client_of(transport, "alices-token") as client:
            again = await client.upload(film, smart=False)
        listed = (await http.get("/api/chunked-upload/")).json()["uploads"]
        assert [upload["upload_id"] for upload in listed] == [done["upload_id"], again.upload_id]
        async with client_of(transport) as client:
            with pytest.raises(Unauthorized, match="log in first"):
                await client.upload(film)
        return (await http.get("/")).text


@pytest.mark.usefixtures("project")
async def test_a_starlette_application_takes_an_upload(film: Path) -> None:
    need_package("itsdangerous")
    module = load("starlette_app")
    async with running(module):
        await check_uploads(module.app, film, {"content": "alice"})


@pytest.mark.usefixtures("project")
async def test_a_flask_application_takes_an_upload_and_answers_as_before(film: Path) -> None:
    for package in ("flask", "a2wsgi"):
        need_package(package)
    module = load("flask_app")
    async with running(module):
        assert await check_uploads(module.app, film, {"content": "alice"}) == "Hello alice"


@pytest.mark.usefixtures("project")
async def test_a_django_application_takes_an_upload_and_answers_as_before(film: Path) -> None:
    need_package("django")
    module = load("django_app")
    await to_thread.run_sync(make_user)
    async with module.application.router.lifespan_context(module.application):
        alice = {"data": {"username": "alice", "password": "secret"}}
        assert "was not found on this server" in await check_uploads(
            module.application, film, alice
        )


def make_user() -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("alice", password="secret")
    connections.close_all()
    assert user.pk == 1  # whom the example's token names


@contextmanager
def gunicorn(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Gunicorn over `host.py` with two workers; the process, and its address."""
    log = folder / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(EXAMPLES), "host:app"]
    options = ["--bind=127.0.0.1:0", "--worker-class=uvicorn_worker.UvicornWorker", "--workers=2"]
    options.append("--graceful-timeout=600")  # only the application ends a stream
    options.append("--timeout=600")  # a busy machine starts slowly
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options, "--no-control-socket"], cwd=folder, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + LIMIT
        while not (
            (found := re.search(r"Listening at: (\S+)", said := log.read_text()))
            and said.count("Application startup complete") == 2
        ):
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_workers_of_gunicorn_share_an_upload_and_end_with_an_open_stream(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("gunicorn", "uvicorn_worker"):
        need_package(package)
    monkeypatch.setenv("HOST_FOLDER", str(tmp_path / "host"))
    with gunicorn(tmp_path) as (process, url):
        client = Client(f"{url}/api", key="alices-token", chunk_size=64 << 10)
        done = client.upload(film, smart=False)
        assert (tmp_path / "host" / "library" / f"{done.upload_id}.mp4").exists()
        with httpx2.Client(headers={"Authorization": "Bearer alices-token"}) as http:
            begun = http.post(f"{url}/api/chunked-upload/init", json={"filename": "a", "size": 9})
            address = f"{url}/api/chunked-upload/{begun.json()['upload_id']}/events"
            with http.stream("GET", address, timeout=LIMIT) as stream:
                assert next(stream.iter_lines()) == "event: status"
                process.terminate()
                assert process.wait(LIMIT) == 0


@pytest.mark.parametrize(
    ("page", "example"),
    [
        ("howto/existing-fastapi-application.md", "host.py"),
        ("howto/scan-before-completion.md", "scan.py"),
        ("howto/starlette.md", "starlette_app.py"),
        ("howto/flask.md", "flask_app.py"),
        ("howto/django.md", "django_app.py"),
    ],
)
def test_what_a_page_shows_of_its_example_is_in_it(page: str, example: str) -> None:
    starts = ("def ", "async def ", "@contextmanager", "uploads = ", "app = ", "application = ")
    shown = [block for block in blocks(page, "python") if block.startswith(starts)]
    assert shown
    for block in shown:
        assert block in (EXAMPLES / example).read_text(encoding="utf-8")


async def test_prometheus_gets_the_numbers_of_an_application_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def current_user(request: Request) -> Any:
        if "session" not in request.cookies:
            raise HTTPException(401)
        return SimpleNamespace(id=1)

    auth = ModuleType("auth")
    auth.current_user = current_user  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "auth", auth)
    monkeypatch.setenv("METRICS_TOKEN", "secret")
    monkeypatch.setenv("WHERRY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WHERRY_ASSESSMENT", "false")
    [shown] = blocks("howto/watch.md", "python")
    example: dict[str, Any] = {}
    exec(shown, example)
    app = FastAPI()
    app.include_router(example["router"], prefix="/api")
    asked: list[tuple[dict[str, str], int]] = [
        ({"Authorization": "Bearer secret"}, 200),
        ({"Cookie": "session=x"}, 404),
        ({"Authorization": "Bearer s\u00e9cret", "Cookie": "session=x"}, 404),
        ({}, 401),
    ]
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://host") as http:
            for headers, status in asked:
                sent = {name.encode(): value.encode() for name, value in headers.items()}
                answer = await http.get("/api/chunked-upload/metrics", headers=sent)
                assert (answer.status_code, headers) == (status, headers)


def test_the_priorities_of_the_example_are_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERRY_DATA", str(tmp_path / "data"))
    [shown] = blocks("howto/assess-some-files-first.md", "python")
    example: dict[str, Any] = {"current_user_id": lambda: "17"}
    exec(shown, example)
    given = {
        example["priority"](FinishedFile("u", tmp_path, "a.mp4", None, size, owner, {}, ""))
        for owner in ("17", "18")
        for size in (1, 6 * 1024**3)
    }
    assert given == {50, 0, -10}
