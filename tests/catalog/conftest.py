"""What the catalog's tests share: an open catalog, a look at its statements, a held writer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

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
def statements() -> Iterator[list[str]]:
    """Everything that is sent to any database from here on, and COMMIT."""
    seen: list[str] = []

    def sent(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    def committed(conn: Any) -> None:
        seen.append("COMMIT")

    event.listen(Engine, "before_cursor_execute", sent)
    event.listen(Engine, "commit", committed)
    yield seen
    event.remove(Engine, "before_cursor_execute", sent)
    event.remove(Engine, "commit", committed)


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
