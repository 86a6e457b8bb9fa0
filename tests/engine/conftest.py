"""An engine over real storage and a real catalog, with a clock that tests move.

`WHERRY_WORLD` chooses another catalog and another storage than SQLite and a disk: `sqlite+disk`,
`postgres+disk`, `sqlite+s3` or `postgres+s3` (`make test-worlds`). A test about what only a disk or
only SQLite has is skipped with the other one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from wherry.app import App
from wherry.app.backends import open_catalog, open_locks, open_storage, unchecked_storage
from wherry.body import Ended, First, Sink
from wherry.catalog import Catalog
from wherry.core.errors import UploadError, UploadNotFound
from wherry.core.facts import UploadFacts
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import Upload
from wherry.engine import Context, Engine, Hooks, Priority
from wherry.locks import Locks
from wherry.settings import Settings
from wherry.storage import Storage
from wherry.storage.local import LocalStorage
from wherry.storage.s3.storage import S3Storage
from wherry.testing.postgres import Postgres
from wherry.testing.s3 import BUCKET, S3Server
from wherry.threads import until_returned

ALICE = Caller("alice")
WORLD = os.environ.get("WHERRY_WORLD", "sqlite+disk")


@dataclass
class Backends:
    """What the settings of each data folder name besides the folder. None: SQLite; a disk."""

    postgres: Postgres | None = None
    store: S3Server | None = None
    _named: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def of(self, folder: Path) -> dict[str, Any]:
        """The same for each call with this folder; a database and a prefix of its own."""
        if folder not in self._named:
            self._named[folder] = named = dict[str, Any]()
            if self.postgres is not None:
                named["database"] = self.postgres.new_database()
            if self.store is not None:
                named["storage"] = f"s3://{BUCKET}/{secrets.token_hex(8)}"
                named["s3_endpoint"] = self.store.endpoint
        return self._named[folder]


_backends = Backends()


@pytest.fixture(autouse=True)
def backends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backends:
    """What this test uses: what it is parametrized with, or `WORLD`."""
    world: str = getattr(request, "param", WORLD)
    catalog, _, storage = world.partition("+")
    assert catalog in ("sqlite", "postgres"), world
    assert storage in ("disk", "s3"), world
    for marker, needed in (("disk_only", "disk"), ("sqlite_only", "sqlite")):
        if request.node.get_closest_marker(marker) and needed not in (catalog, storage):
            pytest.skip(f"about {needed} only")
    chosen = Backends()
    if catalog == "postgres":
        chosen.postgres = request.getfixturevalue("postgres_server")
    if storage == "s3":
        chosen.store = request.getfixturevalue("s3_server")
        for name, value in chosen.store.environment.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.modules[__name__], "_backends", chosen)
    return chosen


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

    @property
    def temp_chunks(self) -> Path:
        """Where local storage has the folders of unfinished uploads. Skips with another storage."""
        return self._on_disk("temp_chunks")

    @property
    def files(self) -> Path:
        """Where local storage has finished files. Skips with another storage."""
        return self._on_disk("files")

    def _on_disk(self, folder: str) -> Path:
        if not isinstance(self.storage, LocalStorage):
            pytest.skip("about disk only")
        return self.settings.data / folder

    def unfinished(self, upload_id: str) -> Path:
        """Where local storage has an upload's bytes until they are finished."""
        return self.temp_chunks / upload_id / "data"

    def finished(self, upload: Upload) -> Path:
        """Where local storage has the file of a finished upload."""
        return self.files / f"{upload.id}{upload.suffix}"

    def lose(self, upload_id: str) -> None:
        """Somebody else removes an upload's unfinished bytes: an operator, or a lifecycle rule.

        Afterwards half a minute is over, for which a process remembers what a store has.
        """
        if isinstance(self.storage, S3Storage):
            unchecked_storage(self.settings).delete(upload_id)
            self.storage.markers.forget(upload_id)
        else:
            shutil.rmtree(self.unfinished(upload_id).parent)

    def keeps(self, upload_id: str) -> bool:
        """Whether storage has something of an unfinished upload."""
        return upload_id in {found for found, _ in self.storage.unfinished()}

    def stored(self) -> list[str]:
        """All that storage has, of finished and of unfinished uploads, as `files/NAME` and others.

        An object store's unfinished parts count, but nothing that is about the whole folder.
        """
        if isinstance(self.storage, S3Storage):
            keys = {key for key, _, _ in self.storage.bucket.list("")}
            keys |= {f"parts of {key}" for key, _, _ in self.storage.bucket.uploads("")}
            return sorted(keys - {"wherry.json"})
        folders = (self.settings.data / name for name in ("temp_chunks", "files"))
        found = [path for folder in folders for path in folder.iterdir()]
        return sorted(str(path.relative_to(self.settings.data)) for path in found)

    def leftovers(self) -> list[str]:
        """All that storage has and that is no finished file."""
        return [name for name in self.stored() if not name.startswith("files/")]

    async def until_decided(self) -> None:
        """Until what the process had submitted when it died is recorded or lost."""
        await self.catalog.forget(())
        for number in range(8):  # PostgreSQL has several threads that write; some for each of them
            with suppress(UploadNotFound):
                await self.catalog.update(f"none-{number}", lambda upload: upload)

    def restart(self) -> None:
        """The process has died: what it remembered of the storage is forgotten."""
        if isinstance(self.storage, S3Storage):
            self.storage = unchecked_storage(self.settings)

    def age(self) -> None:
        """More than an hour later: what has no record is no longer left alone."""
        if isinstance(self.storage, S3Storage):
            self.now = max(self.now, time.time()) + 3700
            return
        for folder in self.temp_chunks.iterdir():
            os.utime(folder, (0, 0))

    async def close(self) -> None:
        self.locks.close()
        await self.catalog.close()

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
    given = {"assessment": True} | _backends.of(folder) | changes
    return Settings(data=folder, min_free=0, min_chunk=1, **given)


def new_world(folder: Path, **changes: Any) -> World:
    """Close it at the end."""
    settings = settings_in(folder, **changes)
    return World(open_storage(settings), open_catalog(settings), settings)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = new_world(tmp_path)
    yield world
    await world.close()


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


async def in_background(engine: Engine, upload: Upload, body: Bytes, told: list[str]) -> None:
    """Send `body` as the first bytes, and tell what has come of it."""
    try:
        await engine.write(ALICE, Write(upload.id, 0), body)
        told.append("recorded")
    except UploadError as error:
        told.append(error.code)


async def content(engine: Engine, upload_id: str) -> bytes:
    """The bytes of a finished upload."""
    _, file, found = await engine.finished(ALICE, upload_id)
    with file.open() as opened:
        data = opened.read()
    assert len(data) == found.size
    return data
