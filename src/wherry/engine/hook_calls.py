"""How the hooks of the application are called: how many at once, for how long, with what result.

Rule 1: a call is recorded before it begins. A hook may end its process (`os._exit`, a crash in
a C library, the kernel's out-of-memory killer), and then no code of ours runs any more that
could count it. The next process finds a call without an end, and counts that.

Rule 2: nothing calls a hook while an earlier call of it for the same upload still runs. A thread
cannot be ended from outside, so a hook that is overdue is waited for, however long it takes.

Rule 3: a hook is foreign code. Everything it raises is a result, also `SystemExit` and
`CancelledError`. A hook that never returns holds up only its own upload: it runs on a thread
of its own, a daemon, which does not hold up the end of the process either.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, NoReturn

from wherry.core.errors import ContentRefused, HookEndsServer, HookFailed
from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.engine.finished import FinishedFile, finished_file
from wherry.engine.hooks import BeforeComplete, OnComplete
from wherry.events import Event
from wherry.storage import StoredFile

#: Hooks that may run at once; one that is overdue no longer counts.
HOOKS_AT_ONCE = 8
#: How long a hook may take to end when the server does, or when it is cancelled, in seconds.
GRACE = 1.0
#: How long an `assessment_id` may be, in characters.
LONGEST_ID = 1000


class HookCalls:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: dict[str, Call] = {}
        self._slots = asyncio.Semaphore(HOOKS_AT_ONCE)

    def running(self, upload_id: str) -> Call | None:
        """The call that runs for this upload, in this process."""
        return self._running.get(upload_id)

    async def before_complete(
        self, hook: BeforeComplete, upload: Upload, token: str, file: StoredFile
    ) -> None:
        """Raises `ContentRefused`, `HookFailed`, `HookEndsServer`."""
        await self._call("before_complete", hook, upload, token, file)

    async def on_complete(
        self, hook: OnComplete, upload: Upload, token: str, file: StoredFile
    ) -> str | None:
        """The `assessment_id` that it returned. Raises `HookFailed`, `HookEndsServer`."""
        answer = await self._call("on_complete", hook, upload, token, file)
        try:
            return parse_assessment_id(answer)
        except ValueError as error:
            self._fail("on_complete", upload, error)

    async def _call(
        self,
        name: str,
        hook: Callable[[FinishedFile], object],
        upload: Upload,
        token: str,
        file: StoredFile,
    ) -> object:
        context = self._context
        async with self._slot() as free_slot:
            # `before_complete` is called before the rename, `on_complete` after it.
            begun, is_named = context.clock(), name == "on_complete"
            try:
                await context.catalog.update(
                    upload.id, lambda u: u.begin_call(token, begun, is_named)
                )
            except HookEndsServer:
                context.log_event(Event.HOOK_ENDS_SERVER, upload, hook=name)
                raise
            # A crash from here on leaves a call whose end is not recorded (rule 1).
            self._running[upload.id] = call = Call(hook, finished_file(upload, file))
            call.when_ended(lambda: self._running.pop(upload.id, None))
            try:
                outcome = await call.within(context.settings.hook_timeout)
                if outcome is None:
                    seconds = context.clock() - begun
                    context.log_event(Event.HOOK_OVERDUE, upload, hook=name, seconds=seconds)
                    # Eight hooks that hang must not keep all other uploads from completing.
                    free_slot()
                    outcome = await call.cancel()
                    # A coroutine ends by this. If it returned a value all the same, the value
                    # counts: the application has done its work. (`HOOK_OVERDUE` is logged, so
                    # `HOOK_FAILED` is not.)
                    if outcome is not None and outcome.error is not None:
                        raise HookFailed(name, upload.id, "has not returned in time")
                if outcome is None:
                    # A function on a thread goes on. Giving up here would let the next
                    # request call it a second time beside itself (rule 2).
                    outcome = await call.outcome()
            except asyncio.CancelledError:
                # The server stops. The hook gets a moment to end, and may go on after that:
                # `running` says so, and the lock is kept for it.
                await call.cancel()
                raise
        return self._result(name, upload, outcome, context.clock() - begun)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[Callable[[], None]]:
        """The right to run a hook; what is yielded gives it back before the end."""
        await self._slots.acquire()
        is_free = False

        def free_slot() -> None:
            nonlocal is_free
            if not is_free:
                is_free = True
                self._slots.release()

        try:
            yield free_slot
        finally:
            free_slot()

    def _result(self, name: str, upload: Upload, outcome: Outcome, seconds: float) -> object:
        """What it returned. Raises `HookFailed` for every exception but one that is an answer."""
        error = outcome.error
        if name == "before_complete" and isinstance(error, ContentRefused):
            raise error
        if error is not None:
            self._fail(name, upload, error)
        self._context.log_event(Event.HOOK_RETURNED, upload, hook=name, seconds=seconds)
        return outcome.value

    def _fail(self, name: str, upload: Upload, error: BaseException) -> NoReturn:
        self._context.log_event(Event.HOOK_FAILED, upload, trace=error, hook=name)
        raise HookFailed(name, upload.id) from (error if isinstance(error, Exception) else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a hook returned, or what it raised."""

    value: object = None
    error: BaseException | None = None


class Call:
    """One call of a hook: a coroutine function on the loop, any other function on a thread.

    It begins at once, and goes on when the caller stops waiting for it.
    """

    def __init__(self, hook: Callable[[FinishedFile], object], file: FinishedFile) -> None:
        self._on_end: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._is_on_thread = False
        self._has_ended = False
        self._task = asyncio.create_task(self._run(hook, file))
        self._task.add_done_callback(lambda _: self._end())

    async def within(self, seconds: float) -> Outcome | None:
        """How it ended; None if it goes on after this time."""
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        return self._outcome() if done else None

    async def outcome(self) -> Outcome:
        """How it ended, however long that takes."""
        await asyncio.wait([self._task])
        return self._outcome()

    async def cancel(self) -> Outcome | None:
        """End it, and give it `GRACE` to do so; None if it goes on. A thread cannot be ended."""
        if not self._is_on_thread:
            self._task.cancel()
        return await self.within(GRACE)

    def _outcome(self) -> Outcome:
        if self._task.cancelled():  # before it had begun
            return Outcome(error=asyncio.CancelledError())
        return self._task.result()

    def when_ended(self, act: Callable[[], object]) -> None:
        """Call `act` once the hook has ended, at once if it has.

        On the loop's thread, or on the hook's if the loop is closed by then. When the loop
        ends first, `asyncio.run` cancels the task that waits for the thread, and `act` is called
        although the thread may go on until the process ends.
        """
        with self._lock:
            if not self._has_ended:
                self._on_end.append(act)
                return
        act()

    def _end(self) -> None:
        with self._lock:
            self._has_ended = True
            acts, self._on_end = self._on_end, []
        for act in acts:
            act()

    async def _run(self, hook: Callable[[FinishedFile], object], file: FinishedFile) -> Outcome:
        """Never raises: a `SystemExit` that leaves a task ends the event loop."""
        try:
            if _is_coroutine_function(hook):
                return Outcome(await hook(file))  # type: ignore[misc]
            outcome = await self._on_thread(hook, file)
            if inspect.isawaitable(outcome.value):
                return Outcome(await outcome.value)
            return outcome
        except BaseException as error:
            return Outcome(error=error)

    async def _on_thread(
        self, hook: Callable[[FinishedFile], object], file: FinishedFile
    ) -> Outcome:
        loop = asyncio.get_running_loop()
        returned: asyncio.Future[Outcome] = loop.create_future()
        context = copy_context()  # as `asyncio.to_thread` does

        def run() -> None:
            try:
                outcome = Outcome(context.run(hook, file))
            except BaseException as error:
                outcome = Outcome(error=error)
            try:
                loop.call_soon_threadsafe(_settle, returned, outcome)
            except RuntimeError:  # the loop is closed, and nothing waits for the result
                self._end()

        self._is_on_thread = True
        threading.Thread(target=run, name="wherry-hook", daemon=True).start()
        try:
            return await returned
        finally:
            self._is_on_thread = False


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    with suppress(asyncio.InvalidStateError):  # cancelled: the loop is about to end
        future.set_result(outcome)


def _is_coroutine_function(hook: Any) -> bool:
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
        getattr(hook, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def parse_assessment_id(answer: object) -> str | None:
    """What `on_complete` returned, as text. Raises `ValueError` if that cannot be an id."""
    if answer is None:
        return None
    try:
        text = str(answer)
        text.encode()
    except Exception as error:
        raise ValueError(f"on_complete returned a {type(answer).__name__} without text") from error
    if not 0 < len(text) <= LONGEST_ID or "\0" in text:
        raise ValueError(f"on_complete returned a text that is no id, of {len(text)} characters")
    return text
