"""Puts the parts together: the only place that picks backends (`backends`), reads the clock and
makes identifiers.

Rule 1: an `App` starts once: with the application's lifespan, or with the first request
if the lifespan does not run.

Rule 2: of all processes that share a storage, one leads: it sweeps, keeps the worker
running and sends webhooks. When it dies, another process leads within a second or two; when it
hangs, within seconds.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from wherry.app.backends import (
    new_id,
    open_catalog,
    open_clock,
    open_lease_clock,
    open_locks,
    open_storage,
    unchecked_storage,
)
from wherry.app.checking import check_start, saying_what_to_do
from wherry.app.host import log_host_limits
from wherry.assessment.policy import load_policy
from wherry.assessment.supervisor import Supervisor
from wherry.assessment.worker_status import EXTRA, WorkerStatus, sending_fatal_error
from wherry.catalog import Catalog
from wherry.deadline_clock import BEAT_INTERVAL, DeadlineClock
from wherry.engine import Context, Engine, Hooks, Looks, Priority, SigningKey
from wherry.engine.stopping import is_server_stopping
from wherry.events import Event
from wherry.events.lines import JsonLines
from wherry.locks import take_into
from wherry.locks.files import FileLocks
from wherry.metrics import Metrics
from wherry.protocols.load import Load
from wherry.settings import Settings
from wherry.storage import Storage
from wherry.threads import until_returned

log = logging.getLogger("wherry")

#: The lock of the process that leads.
LEADER = "leader"
#: How often a process tries to become the one that leads, in seconds.
POLL_INTERVAL = 1.0
#: How often the leader checks whether its server is stopping, in seconds.
CHECK_INTERVAL = 0.25


#: The settings that a worker needs, besides its data folder.
OF_THE_WORKER = (
    "database",
    "storage",
    "s3_endpoint",
    "s3_profile",
    "policy",
    "worker_concurrency",
    "max_assessments",
    "log_format",
    "log_level",
)


class App:
    """The engine and what must run beside it."""

    def __init__(
        self, settings: Settings, hooks: Hooks | None = None, priority: Priority = 0
    ) -> None:
        """`priority`: of new assessments.

        Raises `ModuleNotFoundError` if assessment is wanted but not installed, `PolicyError` for a
        policy that is wrong, `ValueError` for webhooks without a secret and for a file that has no
        key for receipts, and `OSError` for one that cannot be read.
        """
        for sentence in Settings.unknown_variables(os.environ):
            log.warning(sentence)
        settings.check_webhooks()
        self._hooks, self._priority = hooks or Hooks(), priority
        assesses = self._hooks.on_complete is None and can_assess(settings.assessment)
        if assesses:
            load_policy(settings.policy)
        self.settings = settings.model_copy(update={"assessment": assesses})
        self._receipt_keys = read_receipt_keys(settings)
        self._runs_worker = assesses and settings.run_worker
        self.metrics = Metrics()
        self.load = Load(settings.max_requests)
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
        with saying_what_to_do(self.settings):
            await check_start(self.settings)
        async with AsyncExitStack() as opened:
            catalog = open_catalog(self.settings)
            opened.push_async_callback(catalog.close)
            clock = open_clock(self.settings, is_served=False)
            opened.callback(clock.close)
            clock.start(await catalog.newest(), time.time())
            context = self._build(open_storage(self.settings), catalog, clock)
            opened.callback(context.locks.close)
            yield Engine(context, self._hooks)

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
            worker=self._worker_status.read if self._runs_worker else None,
            priority=self._priority,
        )

    async def _start(self) -> Engine:
        async with AsyncExitStack() as running:  # if the start fails, everything is closed again
            await check_start(self.settings)
            storage = await asyncio.to_thread(open_storage, self.settings)
            catalog = await asyncio.to_thread(open_catalog, self.settings)
            running.push_async_callback(catalog.close)
            clock = await asyncio.to_thread(open_clock, self.settings, is_served=True)
            running.callback(clock.close)
            clock.start(await catalog.newest(), time.time())
            # The clock must run before anything reads it.
            await asyncio.to_thread(clock.beat)
            running.push_async_callback(_end, asyncio.create_task(_beat(clock)))
            context = self._build(storage, catalog, clock)
            if self.settings.assessment:
                context.lease_clock = await asyncio.to_thread(open_lease_clock, self.settings)
            running.callback(context.locks.close)
            looks = await asyncio.to_thread(self._open_looks, running)
            engine = Engine(context, self._hooks, self._receipt_keys, looks)
            await running.enter_async_context(engine.running())
            running.push_async_callback(_end, asyncio.create_task(self._lead(engine, context)))
            self._running = running.pop_all()
        return engine

    def _open_looks(self, running: AsyncExitStack) -> Looks | None:
        """For early verdicts, where this server may process videos; ended with `running`."""
        if not self._runs_worker:
            return None
        # Only where it is needed: it takes a while to import.
        from wherry.assessment.early_verdict import EarlyLooks  # noqa: PLC0415

        scratch = self.settings.data / "assessments" / "early"
        looks = EarlyLooks(load_policy(self.settings.policy), scratch)
        running.callback(looks.close)
        return looks

    async def _lead(self, engine: Engine, context: Context) -> None:
        """Wait until no other process leads; then sweep, and keep the worker running."""
        while not context.is_stopping():
            with context.isolated(Event.BACKGROUND_FAILED, task="lead"):
                await self._lead_once(engine, context)
            await asyncio.sleep(POLL_INTERVAL)

    async def _lead_once(self, engine: Engine, context: Context) -> None:
        """Lead until cancelled, until the server stops, or until another process may lead.

        Return at once if another one leads. At a stop, the worker ends while open requests go on,
        and another process can lead.
        """
        with ExitStack() as held:
            if not await until_returned(lambda: take_into(held, context.locks, LEADER)):
                return
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(engine.sweeping())
                if self._runs_worker:
                    keeper = Supervisor(
                        worker_command(self.settings),
                        self._worker_status.write,
                        self.metrics,
                        worker_environment(self.settings),
                    )
                    await stack.enter_async_context(keeper)
                if self.settings.webhook_url:
                    from wherry.webhooks import Sender  # noqa: PLC0415 - only where it is needed

                    await stack.enter_async_context(Sender(context).running())
                while self._may_lead(context):  # noqa: ASYNC110 - nobody sets an event
                    await asyncio.sleep(CHECK_INTERVAL)

    def _may_lead(self, context: Context) -> bool:
        return context.locks.holds(LEADER) and not context.is_stopping()

    async def stop(self) -> None:
        async with self._starting:
            self._engine = None
            await self._running.aclose()

    @asynccontextmanager
    async def lifespan(self, application: object = None) -> AsyncIterator[None]:
        """`application`: the one that the router is part of."""
        await self.engine()
        log_host_limits(self.settings, application)
        try:
            yield
        finally:
            await self.stop()


def read_receipt_keys(settings: Settings) -> tuple[SigningKey, ...]:
    """The keys that sign receipts. Raises `OSError`, and `ValueError` with the name of the file."""

    def read(path: Path) -> SigningKey:
        try:
            return SigningKey(path.read_text())
        except ValueError as error:
            raise ValueError(f"receipt_key: {path}: {error}") from error

    return tuple(map(read, settings.receipt_key))


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
    return [sys.executable, "-m", "wherry", "worker", "--data", data, "--until-stdin-closes"]


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment of the worker, with its settings.

    A URL may contain a password, which a command would show to every user of the machine. The
    worker reads hostile files, so it does not get the secret of webhooks.
    """
    given = {name: getattr(settings, name) for name in OF_THE_WORKER}
    given["webhook_url"] = ",".join(settings.webhook_url)
    kept = {k: v for k, v in os.environ.items() if k.upper() != "WHERRY_WEBHOOK_SECRET"}
    return kept | {
        f"WHERRY_{name.upper()}": "none" if value is None else str(value)
        for name, value in given.items()
    }


def log_to_stderr(settings: Settings) -> None:
    """Configure logging in Wherry's own processes. A host application configures its own."""
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else logging.Formatter(form))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("wherry").setLevel(settings.log_level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # At lower levels it logs signatures.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # It warns of each connection that has broken, and so do the events of ours.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def _date_of(settings: Settings, moment: float) -> float:
    """Unix seconds of a moment of the deadline clock, in a process that does not serve."""
    clock = open_clock(settings, is_served=False)
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
        log_to_stderr(settings)
        os.umask(0o077)
        with saying_what_to_do(settings):
            asyncio.run(check_start(settings))
        settings.data.mkdir(parents=True, exist_ok=True)
        site = worker.Site(
            catalog=open_catalog(settings),
            storage=unchecked_storage(settings),
            date_of=lambda moment: _date_of(settings, moment),
            data=settings.data,
            database_url=settings.database,
            # A worker that a server has started is alone on its machine.
            locks=FileLocks(settings.data),
            lease_clock=open_lease_clock(settings),
        )
        assessing = worker.Assessing(
            policy=load_policy(settings.policy),
            concurrency=settings.worker_concurrency,
            most=settings.max_assessments,
        )
        worker.work(site, until_stdin_closes=until_stdin_closes, assessing=assessing)
