"""The context that all verbs share: storage, catalog, locks, settings, clocks, threads.

Rule 1: every call that blocks runs on a thread, and a cancelled request waits until its
thread has returned. So nothing is written any more after a request has ended.

Rule 2: the engine logs through `Context.log_event` only: one call logs an event and
counts it.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar, Unpack

import anyio

from wherry.catalog import Catalog
from wherry.core.errors import (
    Busy,
    DiskFull,
    NotThere,
    StorageFailed,
    UploadError,
    UploadGone,
)
from wherry.core.limits import Limits
from wherry.core.requests import Caller
from wherry.core.upload import GONE, State, Upload
from wherry.core.worker import Worker
from wherry.engine.hooks import Priority
from wherry.engine.reserving import Reserving
from wherry.events import Event, Facts, log_event
from wherry.locks import Locks, take_into
from wherry.metrics import Metrics
from wherry.settings import Settings
from wherry.storage import Storage, Vanished
from wherry.threads import until_returned

P = ParamSpec("P")
T = TypeVar("T")

#: An event that repeats is logged again after this time, in seconds.
REPEAT_AFTER = 60.0
#: How many of these events are remembered at most.
REMEMBERED = 1000


def lock_of_key(upload_id: str) -> str:
    """The lock of an upload whose id follows from a key: only its holder can bring that upload.

    Such an id comes back when its record was forgotten and a client repeats the request. So
    whoever removes something of an upload by its record reads the record under this lock.
    """
    return f"receiving/{upload_id}"


@dataclass
class Context:
    """What the parts of the engine share. `app` makes one for each process.

    `clock`: the deadline clock, in seconds. `calendar`: the date in Unix seconds, for times
    that people read and for the ages of files; None: `clock` is used for that, too.
    `new_id`: makes identifiers that cannot be guessed.
    `is_stopping`: whether the server has been asked to stop.
    `worker`: reads the state of the worker, and blocks; None if nothing is assessed.
    `priority`: of new assessments.
    `lease_clock`: of the leases of workers; it may block. None where it is not known.
    """

    storage: Storage
    catalog: Catalog
    locks: Locks
    settings: Settings
    clock: Callable[[], float]
    new_id: Callable[[], str]
    metrics: Metrics = field(default_factory=Metrics)
    is_stopping: Callable[[], bool] = lambda: False
    calendar: Callable[[], float] | None = None
    worker: Callable[[], Worker] | None = None
    priority: Priority = 0
    lease_clock: Callable[[], float] | None = None
    #: Those of `settings`. Kept here, because `settings.limits` makes a new object each time.
    limits: Limits = field(init=False)
    reserving: Reserving = field(default_factory=Reserving, init=False)
    _logged: dict[tuple[object, ...], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limits = self.settings.limits

    def date(self) -> float:
        return (self.calendar or self.clock)()

    def date_of(self, moment: float) -> float:
        """The date of a moment of the deadline clock, if that does not pause until then."""
        lag = self.date() - self.clock()
        # Rounded to 2 seconds: the clocks drift, and the answer should be the same each time.
        return 2 * round(lag / 2) + moment

    def log_event(
        self,
        event: Event,
        upload: Upload | None = None,
        *,
        level: int | None = None,
        trace: bool | BaseException = False,
        **facts: Unpack[Facts],
    ) -> None:
        """Count and log an event, as `wherry.events.log_event` does.

        An event that may come back every second is logged at most once a minute for the
        same facts.
        """
        if event.about.repeats and not self._is_due(event, *facts.values()):
            return
        log_event(event, upload, metrics=self.metrics, level=level, trace=trace, **facts)

    def _is_due(self, *event: object) -> bool:
        now = self.clock()
        if abs(now - self._logged.get(event, float("-inf"))) < REPEAT_AFTER:
            return False
        if len(self._logged) >= REMEMBERED:
            self._logged.clear()
        self._logged[event] = now
        return True

    @contextmanager
    def isolated(self, event: Event, **facts: Unpack[Facts]) -> Iterator[None]:
        """One item of a loop: its error is logged as `event`, and the loop goes on."""
        try:
            yield
        except UploadError as error:
            facts["code"], facts["problem"] = error.code, str(error)
            self.log_event(event, **facts)
        except Exception as error:
            facts["problem"] = repr(error)
            self.log_event(event, trace=True, **facts)

    async def on_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`call(...)` on a thread. Raises `DiskFull` or `StorageFailed` for an `OSError`."""
        try:
            return await until_returned(lambda: call(*args, **kwargs))
        except OSError as error:
            raise self.as_upload_error(error) from error

    @asynccontextmanager
    async def locked(self, upload_id: str) -> AsyncIterator[ExitStack]:
        """Hold the lock of this upload's end: of completing and cancelling it. Raises `Busy`.

        Yields the stack that gives the lock back, for a caller that has to hold it longer.
        """
        with ExitStack() as stack:
            name = f"completing/{upload_id}"
            if not await self.on_thread(take_into, stack, self.locks, name):
                raise Busy("completing this upload")
            yield stack

    @asynccontextmanager
    async def alone(self, upload_id: str) -> AsyncIterator[None]:
        """Hold the lock of this upload's idempotency key (`lock_of_key`). Raises `Busy`."""
        with ExitStack() as stack:
            if not await self.on_thread(take_into, stack, self.locks, lock_of_key(upload_id)):
                raise Busy("receiving this file")
            yield

    async def load(self, caller: Caller, upload_id: str, *, everybody: bool = False) -> Upload:
        """The caller's own upload, or one of any owner. Raises `UploadNotFound` for any other.

        Raises `NotThere` for `everybody`, but for operators.
        """
        if everybody and not caller.operator:
            raise NotThere
        upload = await self.catalog.load(upload_id)
        if not everybody:
            upload.check_owner(caller)
        return upload

    async def remove(self, upload: Upload) -> None:
        """Delete all bytes of an upload that has ended without a file."""

        def remove() -> None:
            # The final name first, which a completion may have given before its process died. A
            # crash between the two leaves the folder, by which the sweep finds the upload.
            self.storage.discard(upload.id, upload.suffix)
            self.storage.delete(upload.id)

        await self.on_thread(remove)

    async def remove_late(self, upload_id: str) -> None:
        """Remove what a request has written while another process removed the upload.

        A storage with parts may have given it the final name. A crash before this leaves it to
        `Sweeping._forget_gone`. It raises nothing.
        """
        if self.storage.parts is None:
            return
        with anyio.CancelScope(shield=True), suppress(UploadError):
            async with self.alone(upload_id):
                upload = await self.catalog.load(upload_id)
                if upload.state in GONE:
                    await self.remove(upload)

    def as_upload_error(self, error: OSError) -> UploadError:
        """The error that a client gets for an error of the disk. The log has the details."""
        if error.errno == errno.ENOSPC:
            return DiskFull()
        self.log_event(Event.STORAGE_FAILED, problem=str(error))
        if error.errno == errno.EFBIG:
            # The system's "File too large" reads like a refusal for the limit of sizes.
            return StorageFailed("the volume takes no file of this length")
        return StorageFailed(error.strerror or type(error).__name__)

    async def vanished(self, upload_id: str, token: str | None = None) -> UploadError:
        """Record that the upload's folder was removed. Returns the error to raise.

        `token`: of the completion that found the folder missing. Without it, nothing is recorded
        of an upload that is being completed: the folder is missing there because the file has
        its final name.
        """
        now = self.clock()
        try:
            upload = await self.catalog.update(upload_id, lambda u: u.vanish(now, token))
        except UploadError as error:  # it has ended, or is being completed
            return error
        # A completion that died may have given the file its final name as well.
        with suppress(UploadError):
            await self.remove(upload)
        self.log_event(Event.VANISHED, upload)
        return UploadGone(upload.state.value, upload.failure)

    async def is_removed(self, upload: Upload) -> bool:
        """Whether the folder of an upload that is still receiving was removed.

        Without a recorded byte, nothing is lost: the first request that writes finds out.
        """
        if upload.state is not State.RECEIVING or not upload.received.count:
            return False
        try:
            await self.on_thread(self.storage.head, upload.id, 0)
        except Vanished:
            return True
        return False
