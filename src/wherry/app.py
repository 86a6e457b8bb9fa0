"""Puts the parts together: the only place that picks backends, reads the clock
and makes identifiers.

Rule 1: an `App` starts once: with the application's lifespan, or with the first request
if the lifespan does not run.

Rule 2: of all processes on one data folder, one leads: it sweeps and keeps the worker
running. When it dies, another process leads within a second or two.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.assessment.policy import load_policy
from wherry.assessment.supervisor import Supervisor
from wherry.assessment.worker_status import EXTRA, WorkerStatus, sending_fatal_error
from wherry.catalog import Catalog
from wherry.catalog.pages import every_page
from wherry.core.place import Place
from wherry.core.upload import HOLDS_SPACE, State
from wherry.deadline_clock import BEAT_INTERVAL, DeadlineClock
from wherry.engine import Context, Engine, Hooks
from wherry.engine.stopping import is_server_stopping
from wherry.events import Event
from wherry.locks import Locks, take_into
from wherry.locks.files import FileLocks
from wherry.metrics import Metrics
from wherry.settings import Settings
from wherry.storage import Storage
from wherry.storage.folders import RECORD, FolderAway
from wherry.storage.local import LocalStorage
from wherry.threads import until_returned, wait_on_more_threads

if TYPE_CHECKING:
    from wherry.storage.s3.storage import S3Storage

log = logging.getLogger("wherry")

#: The lock of the process that leads.
LEADER = "leader"
#: How often a process tries to become the one that leads, in seconds.
POLL_INTERVAL = 1.0
#: How often the leader checks whether its server is stopping, in seconds.
CHECK_INTERVAL = 0.25

_AWAY_AT_START = (
    ". The catalog knows uploads that should be in it, and it has none of them. Mount it or move "
    f"it back, and start again. If it was deleted on purpose, delete {RECORD} beside it: the "
    "uploads then count as deleted"
)


def new_id() -> str:
    """128 random bits, in 32 characters that need no quoting anywhere."""
    return secrets.token_hex(16)


def open_storage(settings: Settings) -> Storage:
    """The storage that the settings name. Raises `OSError` with the reason if it is of no use."""
    storage = unchecked_storage(settings)
    for warning in storage.check():
        log.warning(warning)
    storage.record_folders()
    if not isinstance(storage, LocalStorage):
        wait_on_more_threads()
    return storage


def unchecked_storage(settings: Settings) -> LocalStorage | S3Storage:
    """The same, for a process that only reads. Raises `OSError` without credentials."""
    if settings.storage is None:
        return LocalStorage(settings.data, durable=settings.durability == "power-loss")
    if find_spec("botocore") is None:
        sentence = "storage in S3 needs more packages: pip install 'wherry[s3]'"
        raise ModuleNotFoundError(sentence, name="botocore")
    # Only the backend that is opened is loaded, with its libraries.
    from wherry.storage.s3.bucket import connect  # noqa: PLC0415
    from wherry.storage.s3.storage import S3Storage  # noqa: PLC0415

    settings.data.mkdir(parents=True, exist_ok=True)  # for all that is not a file of a client
    client = connect(settings.s3_endpoint, settings.s3_profile)
    return S3Storage(client, Place.parse(settings.storage))


def check_storage(settings: Settings) -> None:
    """Check the storage before anything starts. Raises `OSError` if it cannot be used."""
    _check_catalog(settings)
    asyncio.run(check_folders(settings))
    unchecked_storage(settings).check()


async def check_folders(settings: Settings) -> None:
    """Raises `FolderAway` where a folder is not that of the last run, and its uploads are missing.

    A new folder, or a restored backup with the uploads in it, is accepted.
    """
    if settings.storage is not None:
        return await _check_bucket(settings)
    storage = LocalStorage(settings.data)
    names = await asyncio.to_thread(storage.unfamiliar)
    if not names or not _catalog_file(settings).exists():
        return None
    catalog = open_catalog(settings)
    try:
        for name in names:
            if await _is_emptied(storage, catalog, name):
                raise FolderAway(settings.data / name, _AWAY_AT_START)
    finally:
        await catalog.close()


async def _check_bucket(settings: Settings) -> None:
    """As `check_folders`: a bucket in which no server has started yet may be the wrong one."""
    storage = await asyncio.to_thread(unchecked_storage, settings)
    if not await asyncio.to_thread(storage.unfamiliar) or not _catalog_file(settings).exists():
        return
    catalog = open_catalog(settings)
    try:
        if await _has_lost_all(storage, catalog):
            raise OSError(
                errno.ENOENT,
                "no Wherry has used this bucket and prefix before, and the catalog knows uploads "
                "that should be in it. Correct the setting storage. If the files were deleted on "
                "purpose, move the catalog away as well",
                settings.storage,
            )
    finally:
        await catalog.close()


async def _has_lost_all(storage: Storage, catalog: Catalog) -> bool:
    """Whether the catalog knows uploads with bytes, and the storage has none of the first ones."""
    states, is_one_known = {State.COMPLETING, State.COMPLETE, *HOLDS_SPACE}, False
    async with aclosing(every_page(partial(catalog.uploads, states, None))) as pages:
        async for page in pages:
            for upload in page:
                if upload.discarded_at is not None or not upload.received.count:
                    continue
                file = storage.finished_file(upload.id, upload.suffix)
                if await asyncio.to_thread(file.stat) is not None:
                    return False
                if not await asyncio.to_thread(storage.vanished, [upload.id]):
                    return False
                is_one_known = True
            if is_one_known:
                return True
    return False


async def _is_emptied(storage: LocalStorage, catalog: Catalog, name: str) -> bool:
    """Whether the catalog knows uploads with bytes in this folder, and none of them is there."""
    is_files = name == "files"
    states = {State.COMPLETING, State.COMPLETE} if is_files else HOLDS_SPACE
    is_one_known = False
    async with aclosing(every_page(partial(catalog.uploads, states, None))) as pages:
        async for page in pages:
            paths = [
                storage.finished_file(upload.id, upload.suffix).local_path
                if is_files
                else storage.unfinished_path(upload.id)
                for upload in page
                if upload.discarded_at is None
                and upload.received.count
                and (upload.is_named or upload.is_complete()) is is_files
            ]
            if await asyncio.to_thread(_is_any_there, paths):
                return False
            is_one_known = is_one_known or bool(paths)
    return is_one_known


def _is_any_there(paths: list[Path]) -> bool:
    return any(path.exists() for path in paths)


def _check_catalog(settings: Settings) -> None:
    """Raises `OSError` if there are uploads, but no catalog."""
    path = _catalog_file(settings)
    folders = [settings.data / name for name in ("temp_chunks", "files")]
    if not path.exists() and any(f.is_dir() and any(f.iterdir()) for f in folders):
        sentence = (
            "the catalog is missing, but there are uploads in temp_chunks or files. Restore the "
            "catalog, for example from a backup. A new catalog would not know these uploads, and "
            "unfinished ones would be deleted after an hour. To start with an empty catalog, move "
            "both folders away first"
        )
        raise FileNotFoundError(errno.ENOENT, sentence, str(path))


def open_locks(settings: Settings, storage: Storage) -> Locks:
    """The locks of the data folder. None is taken while the folder is away."""
    if not isinstance(storage, LocalStorage):
        return FileLocks(settings.data)
    return FileLocks(settings.data, storage.present, storage.capabilities.locks_ranges)


def open_catalog(settings: Settings) -> Catalog:
    """The catalog in the data folder. Raises `OSError` as `_check_catalog` does."""
    _check_catalog(settings)
    path = _catalog_file(settings)
    path.touch(mode=0o600)  # SQLite gives its log the same mode
    # Only the backend that is opened is loaded, with its libraries.
    from wherry.catalog.sqlite.catalog import SqliteCatalog  # noqa: PLC0415

    return SqliteCatalog(path)


def _catalog_file(settings: Settings) -> Path:
    return settings.data / "catalog.sqlite"


def clock_file(settings: Settings) -> Path:
    return settings.data / "served.clock"


class App:
    """The engine and what must run beside it."""

    def __init__(self, settings: Settings, hooks: Hooks | None = None) -> None:
        """Raises `ModuleNotFoundError` if assessment is wanted but not installed.

        Raises `PolicyError` for a policy that is wrong.
        """
        for sentence in Settings.unknown_variables(os.environ):
            log.warning(sentence)
        self._hooks = hooks or Hooks()
        assesses = self._hooks.on_complete is None and can_assess(settings.assessment)
        if assesses:
            load_policy(settings.policy)
        self.settings = settings.model_copy(update={"assessment": assesses})
        self.metrics = Metrics()
        self._worker_status = WorkerStatus(settings.data)
        self._engine: Engine | None = None
        self._starting = asyncio.Lock()
        self._running = AsyncExitStack()

    async def engine(self) -> Engine:
        """The engine, started on the first call. Raises `OSError` if the folder cannot be used."""
        if self._engine is not None:
            return self._engine
        async with self._starting:
            if self._engine is None:
                # In a fresh context: background tasks must not inherit that of the first request.
                starting = asyncio.create_task(self._start(), context=contextvars.Context())
                self._engine = await starting
            return self._engine

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Engine]:
        """An engine for a command: without background tasks, beside a server or without one."""
        await check_folders(self.settings)
        catalog = open_catalog(self.settings)
        clock = DeadlineClock.open_to_read(clock_file(self.settings))
        try:
            clock.start(await catalog.newest(), time.time())
            context = self._build(open_storage(self.settings), catalog, clock)
            yield Engine(context, self._hooks)
        finally:
            clock.close()
            await catalog.close()

    def _build(self, storage: Storage, catalog: Catalog, clock: Callable[[], float]) -> Context:
        return Context(
            storage,
            catalog,
            open_locks(self.settings, storage),
            self.settings,
            clock=clock,
            calendar=time.time,
            new_id=new_id,
            metrics=self.metrics,
            is_stopping=is_server_stopping,
            worker=self._worker_status.read if self.settings.assessment else None,
        )

    async def _start(self) -> Engine:
        async with AsyncExitStack() as running:  # if the start fails, everything is closed again
            await check_folders(self.settings)
            storage = await asyncio.to_thread(open_storage, self.settings)
            catalog = await asyncio.to_thread(open_catalog, self.settings)
            running.push_async_callback(catalog.close)
            clock = await asyncio.to_thread(DeadlineClock.open, clock_file(self.settings))
            running.callback(clock.close)
            clock.start(await catalog.newest(), time.time())
            # The clock must run before anything reads it.
            await asyncio.to_thread(clock.beat)
            running.push_async_callback(_end, asyncio.create_task(_beat(clock)))
            context = self._build(storage, catalog, clock)
            engine = Engine(context, self._hooks)
            await running.enter_async_context(engine.running())
            running.push_async_callback(_end, asyncio.create_task(self._lead(engine, context)))
            self._running = running.pop_all()
        return engine

    async def _lead(self, engine: Engine, context: Context) -> None:
        """Wait until no other process leads; then sweep, and keep the worker running."""
        while not context.is_stopping():
            with context.isolated(Event.BACKGROUND_FAILED, task="lead"):
                await self._lead_once(engine, context)
            await asyncio.sleep(POLL_INTERVAL)

    async def _lead_once(self, engine: Engine, context: Context) -> None:
        """Lead until cancelled or until the server stops; return at once if another one leads.

        At a stop, the worker ends while open requests go on, and another process can lead.
        """
        with ExitStack() as held:
            if not await until_returned(lambda: take_into(held, context.locks, LEADER)):
                return
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(engine.sweeping())
                if self.settings.assessment:
                    command = worker_command(self.settings)
                    keeper = Supervisor(command, self._worker_status.write, self.metrics)
                    await stack.enter_async_context(keeper)
                while not context.is_stopping():  # noqa: ASYNC110 - nobody sets an event
                    await asyncio.sleep(CHECK_INTERVAL)

    async def stop(self) -> None:
        async with self._starting:
            self._engine = None
            await self._running.aclose()

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        await self.engine()
        try:
            yield
        finally:
            await self.stop()


async def _beat(clock: DeadlineClock) -> None:
    """Beat for as long as this process serves."""
    while True:
        await asyncio.sleep(BEAT_INTERVAL)
        await until_returned(clock.beat)  # cancelled, too: the clock is closed next


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def can_assess(wanted: bool | None) -> bool:
    """Whether to assess. Raises `ModuleNotFoundError` if it is wanted but not installed."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    if wanted and missing:
        sentence = "assessment needs more packages: pip install 'wherry[assessment]'"
        raise ModuleNotFoundError(sentence, name=missing[0])
    return not missing if wanted is None else wanted


def worker_command(settings: Settings) -> list[str]:
    """The command of the worker, which ends when this process does."""
    data = str(settings.data.absolute())
    own = ["--data", data, "--policy", settings.policy]
    where = {"storage": settings.storage, "s3-endpoint": settings.s3_endpoint}
    for name, value in (where | {"s3-profile": settings.s3_profile}).items():
        own += [] if value is None else [f"--{name}", value]
    return [sys.executable, "-m", "wherry", "worker", *own, "--until-stdin-closes"]


def log_to_stderr() -> None:
    """Configure logging in Wherry's own processes. A host application configures its own."""
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # At lower levels it logs signatures.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _date_of(settings: Settings, moment: float) -> float:
    """Unix seconds of a moment of the deadline clock, in a process that does not serve."""
    clock = DeadlineClock.open_to_read(clock_file(settings))
    try:
        now = time.time()
        clock.start(None, now)
        return now - clock() + moment
    finally:
        clock.close()


def work(settings: Settings, until_stdin_closes: bool) -> None:
    """Assess finished uploads until SIGTERM, or until the parent process ends."""
    with sending_fatal_error(until_stdin_closes):
        # The web process must not import them.
        from wherry.assessment import worker  # noqa: PLC0415
        from wherry.assessment.priority import lower_priority  # noqa: PLC0415

        lower_priority()
        log_to_stderr()
        os.umask(0o077)
        site = worker.Site(
            catalog=open_catalog(settings),
            storage=unchecked_storage(settings),
            date_of=lambda moment: _date_of(settings, moment),
            data=settings.data,
            locks=FileLocks(settings.data),
        )
        assessing = worker.Assessing(policy=load_policy(settings.policy))
        worker.work(site, until_stdin_closes=until_stdin_closes, assessing=assessing)
