from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.client.fake import BASE, Broken, FakeServer
from tests.parts import need_program

from wherry.client import AsyncClient
from wherry.client.chunk_size import NetworkPath
from wherry.core.limits import MiB

File = Callable[[int], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Makes a file of so many random bytes."""

    def make(size: int) -> Path:
        path = tmp_path / f"film-{size}.mp4"
        path.write_bytes(os.urandom(size))
        return path

    return make


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def transport(server: FakeServer) -> Broken:
    return Broken(server)


@pytest.fixture
def path() -> NetworkPath:
    """A known, wide and fast path. With `passed = 0`, what passes is unknown."""
    return NetworkPath(passed=64 * MiB, pace=64 * MiB)


@pytest.fixture
def fast_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that a busy machine makes slow do not make chunks smaller."""
    monkeypatch.setattr("wherry.client.chunk_size.FAST", 3600.0)


@pytest.fixture
async def client(transport: Broken, path: NetworkPath) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(BASE, transport=transport, path=path) as client:
        yield client


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that signs itself, and its key, in one file."""
    openssl = need_program("openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, capture_output=True, timeout=300, check=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both
