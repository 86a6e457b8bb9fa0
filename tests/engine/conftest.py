"""An engine over real storage and a real catalog, with a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from wherry.app import App
from wherry.app.backends import open_catalog, open_locks, open_storage
from wherry.body import Ended, First, Sink
from wherry.catalog import Catalog
from wherry.core.facts import UploadFacts
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import Upload
from wherry.engine import Context, Engine, Hooks, Priority
from wherry.locks import Locks
from wherry.settings import Settings
from wherry.storage import Storage
from wherry.threads import until_returned

ALICE = Caller("alice")


class Bytes:
    """A body that is all there, and is poured. `Gathered` can also be had as a whole."""

    #: In tests over several routes (`route`): whether bodies of this class can be had as a whole.
    is_gathered = False

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    @property
    def remaining(self) -> int:
        return len(self._data)

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        # Not where a test has its own way to pour.
        is_plain = type(self).pour is Bytes.pour
        is_small = len(self._data) <= most
        return (self._data,) if self.is_gathered and is_plain and is_small else None

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        if first is not None:
            await until_returned(first)
        data, self._data = self._data[:limit], self._data[limit:]
        await until_returned(partial(sink, data))
        return Ended.WHOLE


class Gathered(Bytes):
    """A small body, as a request brings it that is read into memory first."""

    is_gathered = True


class Held(Bytes):
    """A body whose last bytes do not come before `let_go` is set."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.begun = anyio.Event()
        self.let_go = anyio.Event()

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        half = min(limit, self.remaining) // 2
        await super().pour(sink, half, first)
        self.begun.set()
        await self.let_go.wait()
        return await super().pour(sink, limit - half)


@pytest.fixture(params=["poured", "gathered", "leased"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every route that the bytes of a request can take; the results must be the same.

    Poured; in one trip to a thread; or with a lease from the beginning.
    """
    monkeypatch.setattr(Bytes, "is_gathered", request.param == "gathered")
    if request.param == "leased":
        monkeypatch.setattr(UploadFacts, "needs_no_lease", lambda *_: False)
    return str(request.param)


@dataclass
class World:
    """What outlives a crash: the disk, the records, the time."""

    storage: Storage
    catalog: Catalog
    settings: Settings
    now: float = 1_000_000.0
    ids: Any = field(default_factory=count)
    locks: Locks = field(init=False)

    def __post_init__(self) -> None:
        self.locks = open_locks(self.settings, self.storage)

    def unfinished(self, upload_id: str) -> Path:
        """Where local storage has an upload's bytes until they are finished."""
        return self.settings.data / "temp_chunks" / upload_id / "data"

    def finished(self, upload: Upload) -> Path:
        """Where local storage has the file of a finished upload."""
        return self.settings.data / "files" / f"{upload.id}{upload.suffix}"

    def engine(
        self,
        storage: Storage | None = None,
        catalog: Catalog | None = None,
        hooks: Hooks | None = None,
        priority: Priority = 0,
    ) -> Engine:
        """A newly started process."""
        return Engine(
            Context(
                storage or self.storage,
                catalog or self.catalog,
                self.locks,
                self.settings,
                clock=lambda: self.now,
                new_id=lambda: f"{next(self.ids):032d}",
                priority=priority,
            ),
            hooks,
        )


def settings_in(folder: Path, **changes: Any) -> Settings:
    return Settings(data=folder, min_free=0, min_chunk=1, **({"assessment": True} | changes))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = settings_in(tmp_path)
    storage = open_storage(settings)
    catalog = open_catalog(settings)
    yield World(storage, catalog, settings)
    await catalog.close()


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Engine]:
    """The engine of an application with everything that runs beside it."""
    app = App(settings)
    try:
        yield await app.engine()
    finally:
        await app.stop()


async def created(engine: Engine, length: int, **more: Any) -> Upload:
    upload, _ = await engine.create(ALICE, Create("film.mp4", length, **more))
    return upload


async def written(engine: Engine, upload: Upload, offset: int, data: bytes) -> Upload:
    return await engine.write(ALICE, Write(upload.id, offset), Bytes(data))


async def content(engine: Engine, upload_id: str) -> bytes:
    """The bytes of a finished upload."""
    _, file, found = await engine.finished(ALICE, upload_id)
    with file.open() as opened:
        data = opened.read()
    assert len(data) == found.size
    return data
