"""What the catalog's tests share: an open catalog, a look at its statements, a held writer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from wherry.catalog.sql.session import Session
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.upload import Upload
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT

Hold = Callable[[SqliteCatalog], AbstractContextManager[None]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
async def catalog(path: Path) -> AsyncIterator[SqliteCatalog]:
    catalog = SqliteCatalog(path)
    yield catalog
    await catalog.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement of any catalog from here on."""
    seen: list[str] = []
    send, send_many = Session._send, Session._send_many

    def sent(session: Session, text: str, values: Sequence[Any]) -> None:
        seen.append(text)
        send(session, text, values)

    def sent_many(session: Session, text: str, rows: Sequence[Sequence[Any]]) -> None:
        seen.append(text)
        send_many(session, text, rows)

    monkeypatch.setattr(Session, "_send", sent)
    monkeypatch.setattr(Session, "_send_many", sent_many)
    return seen


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts one of the programs beside this file; ends it with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(program: str, *arguments: object) -> subprocess.Popen[str]:
        path = Path(__file__).parent / "programs" / program
        command = [sys.executable, "-W", "error", str(path), *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def hold() -> Hold:
    """Keeps the writer in the middle of a transaction that changes an upload named `held`."""

    @contextmanager
    def holding(catalog: SqliteCatalog) -> Iterator[None]:
        inside, go_on = threading.Event(), threading.Event()

        def wait(upload: Upload) -> Upload:
            inside.set()
            assert go_on.wait(CHECK_TIMEOUT)
            return upload

        held = catalog.submit_update("held", wait)
        try:
            assert inside.wait(CHECK_TIMEOUT)
            yield
        finally:
            go_on.set()
            held.exception()

    return holding
