"""The verb complete: from all bytes received to handed over, in constant time.

Rule 1: one completion of an upload at a time: in this process by its task, among
processes by a lease in the catalog that a thread keeps renewing.

Rule 2: complete and assessment queued are one transaction.

Rule 3: a completion whose process died is taken up again when its lease has run
out. Every step may be repeated: the rename finds itself done, the record decides.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio

from wherry.body import until_returned
from wherry.catalog import Change
from wherry.core.assessment import Assessment
from wherry.core.digests import Digest
from wherry.core.errors import (
    Busy,
    ContentRefused,
    FileDigestMismatch,
    HookFailed,
    TypeRefused,
    UploadError,
)
from wherry.core.requests import Caller
from wherry.core.upload import State, Upload
from wherry.engine.content import Content
from wherry.engine.ground import Ground
from wherry.engine.hooks import FinishedFile, Hooks, call
from wherry.storage import Vanished

#: How often a request looks whether another process has finished the completion, in seconds.
LOOK_EVERY = 0.2


class Completing:
    def __init__(self, ground: Ground, content: Content, hooks: Hooks) -> None:
        self._ground = ground
        self._content = content
        self._hooks = hooks
        self._tasks: dict[str, asyncio.Task[Upload]] = {}

    async def complete(self, caller: Caller, upload_id: str, digest: Digest | None) -> Upload:
        """The complete upload; one still `completing` where that takes longer than is waited."""
        upload = await self._ground.load(caller, upload_id)
        upload.check_digest(digest)
        if upload.is_complete():
            return upload
        task = self.begin(upload_id, digest)
        # The client may go away while it waits; the hand-over goes on without it.
        done, _ = await asyncio.wait([task], timeout=self._ground.settings.answer_within)
        upload = task.result() if done else await self._ground.load(caller, upload_id)
        upload.check_digest(digest)  # somebody else may have begun it, without this digest
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
        ground = self._ground
        token, begun = ground.new_id(), ground.clock()
        before = await ground.catalog.load(upload_id)
        if before.is_complete():
            return before
        until = begun + ground.settings.completion_lease

        def begin(upload: Upload) -> Upload:
            # Another process may have completed it since it was loaded.
            if upload.is_complete():
                return upload
            return upload.announce_digest(digest).completing(token, begun, until)

        try:
            upload = await ground.catalog.update(upload_id, begin)
        except FileDigestMismatch as error:
            await self._content.refuse(before, error)
            raise
        if upload.is_complete():
            return upload
        # A crash from here on leaves it completing: the next start takes it up.
        try:
            async with self._renewing(upload_id, token):
                upload = await self._hand_over(upload, token, again=before.state is upload.state)
        except (TypeRefused, ContentRefused) as error:
            await self._content.refuse(upload, error, token)
            raise
        except Vanished:
            raise await ground.vanished(upload_id, token) from None
        except asyncio.CancelledError:
            now = ground.clock()
            await self._give_back(upload_id, lambda u: u.renew(token, now))
            raise
        except Exception:
            await self._give_back(upload_id, lambda u: u.interrupted(token))
            raise
        self._ground.say(
            "complete",
            upload,
            assessment_id=upload.assessment_id,
            digest=upload.digest_now,
            seconds=ground.clock() - begun,
        )
        return upload

    async def _hand_over(self, upload: Upload, token: str, again: bool) -> Upload:
        ground, storage = self._ground, self._ground.storage
        path = storage.finished_path(upload.id, upload.suffix)
        place = storage.unfinished_path(upload.id)
        is_named = again and await ground.on_thread(path.exists)
        # An application that moves its files has been called, and died after it.
        is_moved = (
            again
            and not is_named
            and self._hooks.on_complete is not None
            and not await ground.on_thread(place.exists)
        )
        # That it was renamed once proves that it was looked at and not refused.
        if not is_named and not is_moved:
            await self._content.check_type(upload)
            await self._before(upload)
        if not is_moved:  # also when it has its name: its folder may not be synced yet
            size = upload.received.size
            path = await ground.on_thread(storage.finish, upload.id, upload.suffix, size)
        # A crash here: the file has its name, the record still says completing.
        assessment_id, queued = await self._begin_processing(upload, path)
        now, is_there = ground.clock(), await ground.on_thread(path.exists)

        def complete(upload: Upload) -> Upload:
            after = upload.completed(token, assessment_id)
            return after if is_there else after.discard(now)  # moved: it takes no space here

        return await ground.catalog.update(upload.id, complete, queued)

    async def _before(self, upload: Upload) -> None:
        hook = self._hooks.before_complete
        if hook is None:
            return
        path = self._ground.storage.unfinished_path(upload.id)
        with self._calling("before_complete", upload, (ContentRefused,)):
            await call(hook, described(upload, path))

    async def _begin_processing(
        self, upload: Upload, path: Path
    ) -> tuple[str | None, Assessment | None]:
        """The assessment's id, and the assessment to queue if it is ours to do."""
        hook, ground = self._hooks.on_complete, self._ground
        if hook is None:
            if not ground.settings.assessment:
                return None, None
            queued = Assessment(ground.new_id(), upload.id, upload.owner, ground.clock())
            return queued.id, queued
        with self._calling("on_complete", upload):
            answer = await call(hook, described(upload, path))
        return None if answer is None else str(answer), None

    @contextmanager
    def _calling(
        self, hook: str, upload: Upload, answers: tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        """Raises `HookFailed` for every exception but those that are an answer."""
        ground, begun = self._ground, self._ground.clock()
        try:
            yield
        except answers:
            raise
        except Exception as error:
            ground.say("hook-failed", upload, logging.ERROR, trace=True, hook=hook)
            raise HookFailed(hook, upload.id) from error
        seconds = ground.clock() - begun
        ground.say("hook-returned", upload, logging.DEBUG, hook=hook, seconds=seconds)

    @asynccontextmanager
    async def _renewing(self, upload_id: str, token: str) -> AsyncIterator[None]:
        """Renew the lease from a thread: a host's hook may keep the event loop busy."""
        ground, over = self._ground, threading.Event()
        lease = ground.settings.completion_lease

        def renewed(upload: Upload) -> Upload:
            return upload.renew(token, ground.clock() + lease)

        def renew() -> None:
            while not over.wait(lease / 3):
                try:
                    ground.catalog.update_blocking(upload_id, renewed)
                except Exception:  # the next try may succeed before the time is up
                    ground.say(
                        "lease-not-renewed", level=logging.ERROR, trace=True, upload_id=upload_id
                    )

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
            await self._ground.catalog.update(upload_id, change)

    async def take_up(self) -> None:
        """Begin every completion that a process has left behind."""
        now = self._ground.clock()
        for upload in await self._ground.catalog.uploads({State.COMPLETING}):
            if upload.completion is not None and upload.completion.until <= now:
                self._ground.say("taken-up", upload)
                self.begin(upload.id)


def described(upload: Upload, path: Path) -> FinishedFile:
    return FinishedFile(
        id=upload.id,
        path=path,
        filename=upload.filename,
        content_type=upload.content_type,
        size=upload.received.size,
        owner=upload.owner,
        metadata=upload.metadata,
        digest=str(upload.digest_now),
    )
