"""Where a host application takes part: what it is handed, and how it is called.

Rule 1: `before_complete` sees the whole file before anybody else does. It may
refuse it by raising `ContentRefused`; any other exception keeps the bytes.

Rule 2: `on_complete` is called at least once for an upload, never twice at the
same time. The upload's id is the key by which the application tells a repetition.

Rule 3: a hook is foreign code. Whatever it raises is an answer, `SystemExit` and
`CancelledError` too, and a hook that never returns keeps nothing waiting but its
own upload: it runs on a thread of its own, which does not hold up the end of the process.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from wherry.engine.finished import FinishedFile

#: How long a hook may take to end when the server does, or when it is cancelled, in seconds.
GRACE = 1.0
#: How long an `assessment_id` may be, in characters.
LONGEST_ID = 1000


BeforeComplete = Callable[[FinishedFile], Awaitable[None] | None]
OnComplete = Callable[[FinishedFile], Awaitable[str] | str]


@dataclass(frozen=True, slots=True)
class Hooks:
    before_complete: BeforeComplete | None = None
    on_complete: OnComplete | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a hook returned, or what it raised."""

    value: object = None
    error: BaseException | None = None


class Call:
    """One call of a hook: a coroutine function on the loop, any other function on a thread."""

    def __init__(self, hook: Callable[[FinishedFile], object], file: FinishedFile) -> None:
        self._then: list[Callable[[], object]] = []
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
        """Call `act` once the hook has ended, at once if it has; on whatever thread that is."""
        with self._lock:
            if not self._has_ended:
                self._then.append(act)
                return
        act()

    def _end(self) -> None:
        with self._lock:
            self._has_ended = True
            then, self._then = self._then, []
        for act in then:
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
        context = copy_context()

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
    with suppress(asyncio.InvalidStateError):
        future.set_result(outcome)


def _is_coroutine_function(hook: Any) -> bool:
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
        getattr(hook, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def parse_assessment_id(answer: object) -> str | None:
    """The text of what `on_complete` returned. Raises `ValueError` if it has no usable one."""
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
