"""The example applications do what the pages say of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, HTTPException, Request
from tests.docs.pages import DOCS, blocks

from wherry.client import AsyncClient, ClientError, Refused, Unauthorized
from wherry.engine import FinishedFile
from wherry.storage.localfile import LocalFile

pytestmark = pytest.mark.anyio

EXAMPLES = DOCS / "howto" / "examples"


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
    stored, digest = LocalFile.at(path), "crc64nvme=:AAAAAAAAAAA=:"
    file = FinishedFile("abc", stored, "film.mp4", None, 4, "alice", {}, digest)
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


@pytest.mark.parametrize(
    ("page", "example"),
    [
        ("howto/existing-fastapi-application.md", "host.py"),
        ("howto/scan-before-completion.md", "scan.py"),
    ],
)
def test_what_a_page_shows_of_its_example_is_in_it(page: str, example: str) -> None:
    shown = [block for block in blocks(page, "python") if block.startswith(("def ", "async def "))]
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
