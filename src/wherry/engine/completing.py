"""The verb complete: from "all bytes are here" to "the application has the file".

Without hooks, `completing_at_once` does all of it in one trip; this is the way for hooks, and for
what that one leaves. A completion is a row of steps, each of which is safe to repeat:

    1. lock       no other process completes this upload       locks
    2. lease      record: completing, by me, until then        catalog
    3. check      the type, by the first bytes                 storage
    4. hook       before_complete may refuse the file          application
    5. rename     the file gets its final name                 storage
    6. hook       on_complete gets the file                    application
    7. record     complete, and the assessment is queued       catalog

The process may die between any two of them. The upload is then `completing` with a lease that
runs out, and another process (`resume`, each second) begins again at step 1. It sees from the
storage and the record how far the dead process came, so no step needs a log of its own.

Rule 1: one completion of an upload at a time. That takes three things, none of which is enough
alone: one task in this process, a lock among processes, a lease in the catalog.

Rule 2: steps 2 and 7 are transactions. Complete and "assessment queued" are one of them, so
there is never a complete upload that is not assessed, nor an assessment without its upload.

Rule 3: the request that asks for completion only waits for it. It may give up, and its client
may go away; the handover goes on and its result is recorded.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import anyio

from wherry.catalog import Change
from wherry.catalog.pages import every_record
from wherry.core.assessment import Assessment
from wherry.core.digests import Digest
from wherry.core.errors import (
    Busy,
    ContentRefused,
    FileDigestMismatch,
    TypeRefused,
    UploadError,
)
from wherry.core.requests import Caller
from wherry.core.rights import latest_end
from wherry.core.upload import State, Upload
from wherry.engine.completing_at_once import CompletingAtOnce
from wherry.engine.context import Context
from wherry.engine.file_types import HEAD, FileTypes
from wherry.engine.hook_calls import HookCalls
from wherry.engine.hooks import Hooks
from wherry.engine.lease_keeper import LeaseKeeper
from wherry.engine.priorities import priority_of
from wherry.events import Event
from wherry.storage import StoredFile, Vanished

#: How often a task tries again while another process has the completion, in seconds.
POLL_INTERVAL = 0.2


class Completing:
    def __init__(self, context: Context, file_types: FileTypes, hooks: Hooks) -> None:
        self._context = context
        self._file_types = file_types
        self._hooks = hooks
        self._hook_calls = HookCalls(context)
        self._leases = LeaseKeeper(context)
        self._at_once = CompletingAtOnce(context, file_types) if hooks == Hooks() else None
        self._tasks: dict[str, asyncio.Task[Upload]] = {}
        self._is_hurried = asyncio.Event()

    # What a request does: begin a task, or join one, and wait for a while.

    async def complete(self, caller: Caller, upload_id: str, digest: Digest | None) -> Upload:
        """The complete upload, or a `completing` one where that takes longer than we wait."""
        if self._at_once is not None:
            complete = await self._at_once.complete(caller, upload_id, digest)
            if complete is not None:
                return complete
        settings, clock = self._context.settings, self._context.clock
        upload = await self._context.load(caller, upload_id)
        upload.check_digest(digest)
        if upload.is_complete():
            return upload
        # Raises `HookFailed` while a hook is overdue. Before we wait: that hook would keep this
        # request waiting, too.
        upload.check_hook(clock(), settings.hook_timeout)
        task = self.begin(upload_id, digest)
        # `wait_for` would cancel the task at the timeout, and with it the handover. Not longer
        # than `hook_timeout`: a hook that is overdue is an error, and not only a slow answer.
        timeout = min(settings.answer_within, settings.hook_timeout)
        is_done = await self._is_done(task, timeout)
        upload = task.result() if is_done else await self._context.load(caller, upload_id)
        # The task may have been begun by another request, which gave no digest or another one.
        upload.check_digest(digest)
        upload.check_hook(clock(), settings.hook_timeout)
        return upload

    async def _is_done(self, task: asyncio.Task[Upload], within: float) -> bool:
        """Wait for the end of `task`, of the time, or of the server's patience."""
        hurried = asyncio.ensure_future(self._is_hurried.wait())
        try:
            await asyncio.wait([task, hurried], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
        return task.done()

    def answer_now(self) -> None:
        """Answer all requests that wait for a completion: the server stops."""
        self._is_hurried.set()

    def begin(self, upload_id: str, digest: Digest | None = None) -> asyncio.Task[Upload]:
        """The task that completes this upload; the one that runs already, if there is one."""
        if upload_id not in self._tasks:
            task = asyncio.create_task(self._until_complete(upload_id, digest))
            self._tasks[upload_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(upload_id, None))
            # A task begun by `resume` is awaited by no one, and asyncio would complain that
            # its exception was never retrieved. The event in the log says what went wrong.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._tasks[upload_id]

    async def resume(self) -> None:
        """Begin every completion whose process died."""
        now = self._context.clock()
        latest = latest_end(now, self._context.settings.completion_lease)
        completing = partial(self._context.catalog.uploads, {State.COMPLETING}, None)
        async for upload in every_record(completing):
            # Without a lease, it failed and was interrupted: it goes on when a client asks.
            if upload.completion is None or upload.is_being_completed(now, latest):
                continue
            # With a task of ours, it already waits for a process that still has the lock: one
            # that was stopped for longer than its lease.
            if upload.id not in self._tasks:
                self._context.log_event(Event.TAKEN_UP, upload)
                self.begin(upload.id)

    async def stop(self) -> None:
        """End what runs; the next process resumes it."""
        for task in (tasks := list(self._tasks.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What the task does.

    async def _until_complete(self, upload_id: str, digest: Digest | None) -> Upload:
        while True:
            try:
                return await self._complete(upload_id, digest)
            except Busy:
                # Another process has the lock (`_complete`), or had the lease when it died
                # (`_with_lock`). It finishes, or its lease runs out.
                await anyio.sleep(POLL_INTERVAL)

    async def _complete(self, upload_id: str, digest: Digest | None) -> Upload:
        """Step 1, then the rest. Raises `Busy` while another process has the lock."""
        context = self._context
        upload = await context.catalog.load(upload_id)
        if upload.is_complete():
            return upload
        # Why a lock beside the lease: a process may be stopped (SIGSTOP, a frozen container)
        # for longer than its lease, in the middle of a hook. It goes on with the hook when it
        # is woken up, and cannot know that its lease is over. The lock ends only with the
        # process, so no other process calls the hook meanwhile.
        # Why a lease beside the lock: it is in the record, so every process and the sweep can
        # see who completes the upload, also where a file system has no locks.
        async with context.locked(upload_id) as lock:
            try:
                return await self._with_lock(upload, digest)
            finally:
                # We may leave while a hook still runs on its thread: the server stops. Then
                # the hook takes the lock along, and gives it back when it has ended.
                if (call := self._hook_calls.running(upload_id)) is not None:
                    call.when_ended(lock.pop_all().close)

    async def _with_lock(self, before: Upload, digest: Digest | None) -> Upload:
        """Step 2, then the rest, and what to record when the rest fails."""
        context, upload_id = self._context, before.id
        token, begun = context.new_id(), context.clock()
        until = begun + context.settings.completion_lease

        def begin(upload: Upload) -> Upload:
            # `before` was loaded before we had the lock: it may have become complete since.
            if upload.is_complete():
                return upload
            return upload.announce_digest(digest).begin_completion(token, begun, until)

        try:
            upload = await context.catalog.update(upload_id, begin)
        except FileDigestMismatch as error:
            # It will never match: a received byte is never changed by a later request.
            await self._file_types.refuse(before, error)
            raise
        if upload.is_complete():
            return upload
        # A crash from here on leaves it completing: another process resumes it.
        try:
            with self._leases.kept(upload_id, token):
                upload = await self._hand_over(upload, token)
        except (TypeRefused, ContentRefused) as error:
            await self._file_types.refuse(upload, error, token)
            raise
        except Vanished:
            raise await context.vanished(upload_id, token) from None
        except asyncio.CancelledError:
            # The server stops (`stop`). `end_call`: the hook did not end the process, so the
            # call must not count as one that did.
            if self._hook_calls.running(upload_id) is None:
                # A lease that is over, not none: `resume` of the next process finds it.
                now = context.clock()
                await self._give_back(upload_id, lambda u: u.end_call().renew(token, now))
            else:
                # The hook goes on. Its lease stays and runs out by itself, so that another
                # process leaves it alone for that time also where there are no locks.
                await self._give_back(upload_id, lambda u: u.end_call())
            raise
        except Exception:
            # A hook failed, or the disk is full, or a hook has ended too many processes; or
            # another process has the lease by now, and then this changes nothing. No lease, so it
            # is not resumed: what has just failed would be tried again every second. The file is
            # kept, and the client may ask again.
            await self._give_back(upload_id, lambda u: u.interrupt(token))
            raise
        context.log_event(
            Event.COMPLETE,
            upload,
            assessment_id=upload.assessment_id,
            digest=upload.received_digest,
            seconds=context.clock() - begun,
        )
        return upload

    async def _hand_over(self, upload: Upload, token: str) -> Upload:
        """Steps 3 to 7.

        Two facts say what a process before us has done. `is_there`: the storage has the file
        under its final name, and the unfinished bytes are gone. `upload.is_named`: the record says
        that `on_complete` was about to be called, so the application may know the file, and may
        have moved it.

            is_there  is_named   then the process before us died
            no        no         before the rename (or there was none)
            yes       no         after the rename, before on_complete (or see `_check_or_finish`)
            yes       yes        during on_complete, or before the record
            no        yes        the same, and the application has moved the file
        """
        context, storage, hooks = self._context, self._context.storage, self._hooks
        file = storage.finished_file(upload.id, upload.suffix)
        unchecked = await context.on_thread(self._check_or_finish, upload, file)
        if unchecked is not None and hooks.before_complete is not None:
            # Before the rename: a file that is refused was never to be had under its name.
            await self._hook_calls.before_complete(hooks.before_complete, upload, token, unchecked)
            # A crash here: before_complete is called again, as its documentation says.
            size, crc = upload.received.size, upload.received.crc
            await context.on_thread(storage.finish, upload.id, upload.suffix, size, crc)
        # A crash here: the file has its name, the record still says completing.
        assessment_id, queued = None, None
        if hooks.on_complete is not None:
            # After the rename, so that the application may keep the path or move the file.
            # Before the record, so that its answer is part of it. That makes the call one that
            # is made at least once: no order of the two makes it exactly once.
            assessment_id = await self._hook_calls.on_complete(
                hooks.on_complete, upload, token, file
            )
        elif context.settings.assessment:
            priority = await context.on_thread(priority_of, context, upload)
            now = context.clock()
            queued = Assessment(context.new_id(), upload.id, upload.owner, now, priority=priority)
            assessment_id = queued.id
        # A file that on_complete has moved away takes no space here.
        may_be_moved = hooks.on_complete is not None or upload.is_named
        is_there = not may_be_moved or await context.on_thread(file.stat) is not None
        now, date = context.clock(), context.date()

        def complete(upload: Upload) -> Upload:
            after = upload.complete(token, assessment_id, date)
            return after if is_there else after.discard(now)

        # Raises `Superseded` if our lease ran out and another process has taken over.
        return await context.catalog.update(upload.id, complete, queued)

    def _check_or_finish(self, upload: Upload, file: StoredFile) -> StoredFile | None:
        """Steps 3 and 5, blocking; the file to be checked if `before_complete` comes in between."""
        storage, size, crc = self._context.storage, upload.received.size, upload.received.crc
        is_there = file.stat() is not None and self._is_renamed(upload.id)
        if not is_there and upload.is_named:
            # The application may have moved it: `finish` would find neither the file nor its
            # unfinished bytes, and call the upload removed.
            return None
        if not is_there:
            if self._file_types.is_checked:
                self._file_types.check_head(storage.head(upload.id, HEAD))
            if self._hooks.before_complete is not None:
                return storage.unfinished_file(upload.id, size, crc)
        elif self._hooks.before_complete is not None and not upload.is_named:
            # Its name does not prove that it was accepted: an object store makes the finished
            # object for the hook, and somebody may have removed what was left of the upload.
            return file
        # Also when the file is there: the process before us may have died after the rename
        # and before the folder was synced, and power loss would undo the rename.
        storage.finish(upload.id, upload.suffix, size, crc)
        return None

    def _is_renamed(self, upload_id: str) -> bool:
        """False for a file that has both names: it was linked, by a server that has no hooks."""
        try:
            self._context.storage.head(upload_id, 0)
        except Vanished:
            return True
        return False

    async def _give_back(self, upload_id: str, change: Change) -> None:
        """Record `change`, also when this task is cancelled.

        Without effect if another process has taken the completion over meanwhile, or if the
        catalog cannot be written: then the lease runs out, which comes to the same.
        """
        with anyio.CancelScope(shield=True), suppress(UploadError):
            await self._context.catalog.update(upload_id, change)
