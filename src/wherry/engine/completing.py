"""The verb complete: from all bytes received to handed over, in constant time.

Rule 1: one completion of an upload at a time: in this process by its task, among
processes by storage's lock and by a lease in the catalog that a thread keeps renewing.

Rule 2: complete and assessment queued are one transaction.

Rule 3: a completion whose process died is taken up again when its lease has run
out. Every step may be repeated: the rename finds itself done, the record decides.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NoReturn

import anyio

from wherry.body import until_returned
from wherry.catalog import Change
from wherry.core.assessment import Assessment
from wherry.core.digests import Digest
from wherry.core.errors import (
    Busy,
    ContentRefused,
    FileDigestMismatch,
    HookEndsServer,
    HookFailed,
    TypeRefused,
    UploadError,
)
from wherry.core.requests import Caller
from wherry.core.rights import latest
from wherry.core.upload import State, Upload
from wherry.engine.content import Content
from wherry.engine.context import Context
from wherry.engine.finished import FinishedFile
from wherry.engine.hooks import Call, Hooks, Outcome, parse_assessment_id
from wherry.events import Event
from wherry.storage import StoredFile, Vanished

#: How often a request looks whether another process has finished the completion, in seconds.
LOOK_EVERY = 0.2
#: Hooks that may run at once; one that is overdue no longer counts.
HOOKS_AT_ONCE = 8


class Completing:
    def __init__(self, context: Context, content: Content, hooks: Hooks) -> None:
        self._context = context
        self._content = content
        self._hooks = hooks
        self._tasks: dict[str, asyncio.Task[Upload]] = {}
        self._calls: dict[str, Call] = {}
        self._places = asyncio.Semaphore(HOOKS_AT_ONCE)

    async def complete(self, caller: Caller, upload_id: str, digest: Digest | None) -> Upload:
        """The complete upload; one still `completing` where that takes longer than is waited."""
        settings, clock = self._context.settings, self._context.clock
        upload = await self._context.load(caller, upload_id)
        upload.check_digest(digest)
        if upload.is_complete():
            return upload
        upload.check_hook(clock(), settings.hook_timeout)
        task = self.begin(upload_id, digest)
        # The client may go away while it waits; the hand-over goes on without it.
        patience = min(settings.answer_within, settings.hook_timeout)
        done, _ = await asyncio.wait([task], timeout=patience)
        upload = task.result() if done else await self._context.load(caller, upload_id)
        upload.check_digest(digest)  # somebody else may have begun it, without this digest
        upload.check_hook(clock(), settings.hook_timeout)
        return upload

    def begin(self, upload_id: str, digest: Digest | None = None) -> asyncio.Task[Upload]:
        """The task that completes this upload; the one that runs already, if there is one."""
        if upload_id not in self._tasks:
            task = asyncio.create_task(self._until_complete(upload_id, digest))
            self._tasks[upload_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(upload_id, None))
            # Asked for by the recovery nobody awaits it: its error is in the log.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._tasks[upload_id]

    async def stop(self) -> None:
        """End what runs; the next start takes it up again."""
        for task in (tasks := list(self._tasks.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_complete(self, upload_id: str, digest: Digest | None) -> Upload:
        while True:
            try:
                return await self._complete(upload_id, digest)
            except Busy:  # another process is at it, or was when it died
                await anyio.sleep(LOOK_EVERY)

    async def _complete(self, upload_id: str, digest: Digest | None) -> Upload:
        context = self._context
        upload = await context.catalog.load(upload_id)
        if upload.is_complete():
            return upload
        # The lease tells others who completes it. The lock keeps them out even when this
        # process is stopped for longer than its lease, and wakes up in the middle of a hook.
        async with context.locked(upload_id) as right:
            try:
                return await self._complete_alone(upload, digest)
            finally:
                if (call := self._calls.get(upload_id)) is not None:  # it goes on, and so do we
                    call.when_ended(right.pop_all().close)

    async def _complete_alone(self, before: Upload, digest: Digest | None) -> Upload:
        context, upload_id = self._context, before.id
        token, begun = context.new_id(), context.clock()
        until = begun + context.settings.completion_lease

        def begin(upload: Upload) -> Upload:
            # Another process may have completed it since it was loaded.
            if upload.is_complete():
                return upload
            return upload.announce_digest(digest).completing(token, begun, until)

        try:
            upload = await context.catalog.update(upload_id, begin)
        except FileDigestMismatch as error:
            await self._content.refuse(before, error)
            raise
        if upload.is_complete():
            return upload
        # A crash from here on leaves it completing: the next start takes it up.
        try:
            async with self._renewing(upload_id, token):
                upload = await self._hand_over(upload, token)
        except (TypeRefused, ContentRefused) as error:
            await self._content.refuse(upload, error, token)
            raise
        except Vanished:
            raise await context.vanished(upload_id, token) from None
        except asyncio.CancelledError:
            # It is the server that ends, and not the hook that ends it.
            if upload_id not in self._calls:
                now = context.clock()
                await self._give_back(upload_id, lambda u: u.call_ended().renew(token, now))
            else:  # it goes on, and keeps its lease: nobody may call it again beside it
                await self._give_back(upload_id, lambda u: u.call_ended())
            raise
        except HookFailed:
            await self._give_back(upload_id, lambda u: u.call_ended().interrupted(token))
            raise
        except Exception:
            await self._give_back(upload_id, lambda u: u.interrupted(token))
            raise
        self._context.log_event(
            Event.COMPLETE,
            upload,
            assessment_id=upload.assessment_id,
            digest=upload.digest_now,
            seconds=context.clock() - begun,
        )
        return upload

    async def _hand_over(self, upload: Upload, token: str) -> Upload:
        context, storage, hooks = self._context, self._context.storage, self._hooks
        size = upload.received.size
        file = storage.finished_file(upload.id, upload.suffix)
        is_there = await context.on_thread(file.stat) is not None
        # That it has its name proves that it was looked at and not refused.
        if not is_there and not upload.is_named:
            await self._content.check_type(upload)
            if hooks.before_complete is not None:
                unfinished = await context.on_thread(storage.unfinished_file, upload.id, size)
                await self._call(
                    "before_complete", hooks.before_complete, upload, token, unfinished
                )
        # The application may have moved a file of which it was told; never any other.
        if is_there or not upload.is_named:  # also when it is there: its folder may not be synced
            await context.on_thread(storage.finish, upload.id, upload.suffix, size)
        # A crash here: the file has its name, the record still says completing.
        assessment_id, queued = None, None
        if hooks.on_complete is not None:
            answer = await self._call("on_complete", hooks.on_complete, upload, token, file)
            assessment_id = self._parsed(upload, answer)
        elif context.settings.assessment:
            queued = Assessment(context.new_id(), upload.id, upload.owner, context.clock())
            assessment_id = queued.id
        is_there = await context.on_thread(file.stat) is not None
        now = context.clock()

        def complete(upload: Upload) -> Upload:
            after = upload.completed(token, assessment_id)
            return after if is_there else after.discard(now)  # moved: it takes no space here

        return await context.catalog.update(upload.id, complete, queued)

    async def _call(
        self,
        name: str,
        hook: Callable[[FinishedFile], object],
        upload: Upload,
        token: str,
        file: StoredFile,
    ) -> object:
        """What the hook returns. Raises `HookFailed`, `HookEndsServer`, `ContentRefused`."""
        context = self._context
        async with self._place() as leave:
            begun, is_named = context.clock(), name == "on_complete"
            try:
                await context.catalog.update(upload.id, lambda u: u.calling(token, begun, is_named))
            except HookEndsServer:
                context.log_event(Event.HOOK_ENDS_SERVER, upload, hook=name)
                raise
            # A crash from here on leaves a call whose end nobody knows: the next one counts it.
            self._calls[upload.id] = call = Call(hook, described(upload, file))
            call.when_ended(lambda: self._calls.pop(upload.id, None))
            try:
                outcome = await call.within(context.settings.hook_timeout)
                if outcome is None:
                    seconds = context.clock() - begun
                    context.log_event(Event.HOOK_OVERDUE, upload, hook=name, seconds=seconds)
                    leave()
                    outcome = await call.cancel()
                    if outcome is not None and outcome.error is not None:
                        raise HookFailed(name, upload.id, "has not returned in time")
                if outcome is None:  # nobody may call it again beside this one: wait for its end
                    outcome = await call.outcome()
            except asyncio.CancelledError:
                await call.cancel()
                raise
        return self._result(name, upload, outcome, context.clock() - begun)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Callable[[], None]]:
        """A place among the hooks that run at once; what is yielded gives it back early."""
        await self._places.acquire()
        left: list[None] = []

        def leave() -> None:
            if not left:
                left.append(None)
                self._places.release()

        try:
            yield leave
        finally:
            leave()

    def _result(self, hook: str, upload: Upload, outcome: Outcome, seconds: float) -> object:
        """What it returned. Raises `HookFailed` for every exception but one that is an answer."""
        error = outcome.error
        if hook == "before_complete" and isinstance(error, ContentRefused):
            raise error
        if error is not None:
            self._failed(hook, upload, error)
        self._context.log_event(Event.HOOK_RETURNED, upload, hook=hook, seconds=seconds)
        return outcome.value

    def _parsed(self, upload: Upload, answer: object) -> str | None:
        try:
            return parse_assessment_id(answer)
        except ValueError as error:
            self._failed("on_complete", upload, error)

    def _failed(self, hook: str, upload: Upload, error: BaseException) -> NoReturn:
        self._context.log_event(Event.HOOK_FAILED, upload, trace=error, hook=hook)
        raise HookFailed(hook, upload.id) from (error if isinstance(error, Exception) else None)

    @asynccontextmanager
    async def _renewing(self, upload_id: str, token: str) -> AsyncIterator[None]:
        """Renew the lease from a thread: a host's hook may keep the event loop busy."""
        context, over = self._context, threading.Event()
        lease = context.settings.completion_lease

        def renewed(upload: Upload) -> Upload:
            return upload.renew(token, context.clock() + lease)

        def renew() -> None:
            while not over.wait(lease / 3):
                try:
                    context.catalog.update_blocking(upload_id, renewed)
                except Exception:  # the next try may succeed before the time is up
                    context.log_event(Event.LEASE_NOT_RENEWED, trace=True, upload_id=upload_id)

        thread = threading.Thread(target=renew, name="wherry-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            await until_returned(thread.join)

    async def _give_back(self, upload_id: str, change: Change) -> None:
        """Let somebody else complete it; whoever has taken it over keeps it."""
        with anyio.CancelScope(shield=True), suppress(UploadError):
            await self._context.catalog.update(upload_id, change)

    async def resume(self) -> None:
        """Begin every completion whose process died."""
        now = self._context.clock()
        until = latest(now, self._context.settings.completion_lease)
        completing = partial(self._context.catalog.uploads, {State.COMPLETING}, None)
        async for upload in self._context.every(completing):
            if upload.completion is None or upload.is_being_completed(now, until):
                continue
            if upload.id not in self._tasks:  # else it waits for somebody who still has the lock
                self._context.log_event(Event.TAKEN_UP, upload)
                self.begin(upload.id)


def described(upload: Upload, file: StoredFile) -> FinishedFile:
    return FinishedFile(
        id=upload.id,
        stored=file,
        filename=upload.filename,
        content_type=upload.content_type,
        size=upload.received.size,
        owner=upload.owner,
        metadata=upload.metadata,
        digest=str(upload.digest_now),
    )
