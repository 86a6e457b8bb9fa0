"""How the hooks of the application are called: how many at once, for how long, with what result.

Rule 1: a call is recorded before it begins. A hook may end its process (`os._exit`, a crash in
a C library, the kernel's out-of-memory killer), and then no line of ours runs any more that
could count it. The next process finds a call without an end, and counts that.

Rule 2: nothing calls a hook while an earlier call of it for the same upload still runs. A thread
cannot be ended from outside, so a hook that is overdue is waited for, however long it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from wherry.core.errors import ContentRefused, HookEndsServer, HookFailed
from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.engine.finished import FinishedFile
from wherry.engine.hooks import BeforeComplete, Call, OnComplete, Outcome, parse_assessment_id
from wherry.events import Event
from wherry.storage import StoredFile

#: Hooks that may run at once; one that is overdue no longer counts.
HOOKS_AT_ONCE = 8


class Calling:
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
            begun, is_named = context.clock(), name == "on_complete"
            try:
                await context.catalog.update(
                    upload.id, lambda u: u.begin_call(token, begun, is_named)
                )
            except HookEndsServer:
                context.log_event(Event.HOOK_ENDS_SERVER, upload, hook=name)
                raise
            # A crash from here on leaves a call whose end is not recorded (rule 1).
            self._running[upload.id] = call = Call(hook, described(upload, file))
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
                    # counts: the application has done its work.
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


def described(upload: Upload, file: StoredFile) -> FinishedFile:
    return FinishedFile(
        id=upload.id,
        stored=file,
        filename=upload.filename,
        content_type=upload.content_type,
        size=upload.received.size,
        owner=upload.owner,
        metadata=upload.metadata,
        digest=str(upload.received_digest),
    )
