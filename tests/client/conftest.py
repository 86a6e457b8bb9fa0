from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.client.fake import BASE, Broken, FakeServer

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
async def client(transport: Broken, path: NetworkPath) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(BASE, transport=transport, path=path) as client:
        yield client
