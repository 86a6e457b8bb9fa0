"""One upload from its first request to its last: the plan, put into action.

Rule 1: the algorithm is `plan.py`'s. This file only reads, sends, waits and
tells.

Rule 2: it holds the bytes that are in flight and no others, at most
`concurrency` chunks.

Rule 3: ending it at any line, also by kill -9, loses nothing that was
acknowledged: `init` with the same fingerprint finds the upload again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio import to_thread

from wherry.client.answers import UploadStatus
from wherry.client.decisions import Next, what_next
from wherry.client.errors import (
    AnswerLost,
    BytesMissing,
    ClientError,
    ConnectionLost,
    FileChanged,
    NoRoom,
    NotConnected,
    NotFound,
    ServerFailed,
    TimedOut,
    TooLarge,
    UploadGone,
)
from wherry.client.plan import FLOOR, Chunk, ChunkSize, Plan, gaps, pause_of
from wherry.client.progress import Result, Teller
from wherry.client.retrying import Retrying, jitter
from wherry.client.source import Source
from wherry.client.wire import Wire
from wherry.core.digests import Digest
from wherry.core.limits import MiB
from wherry.core.ranges import PartSet, Range

#: Chunks in parallel where the server does not say.
CONCURRENCY = 4
#: So often may the server miss what it has acknowledged.
ROUNDS = 3
#: What an earlier run has sent is read again in steps of this many bytes.
READ_SIZE = 8 * MiB


@dataclass(frozen=True, slots=True)
class Options:
    """`chunk_size` in bytes; `patience`: seconds without progress until an upload gives up."""

    chunk_size: int | None = None
    concurrency: int | None = None
    patience: float = 300.0


class Run:
    def __init__(
        self,
        wire: Wire,
        source: Source,
        size: ChunkSize,
        teller: Teller,
        *,
        options: Options,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._wire = wire
        self._source = source
        self._size = size
        self._teller = teller
        self._options = options
        self._metadata = metadata
        self._retrying = Retrying(options.patience, self._tell_trouble)
        self._parts = PartSet()  # what was read of the file, digested
        self._changed = anyio.Event()
        self._began = time.monotonic()
        self._resumed = 0

    async def from_before(self) -> Result | None:
        """An earlier upload of this very file that is complete; None if there is none.

        The fingerprint finds it, and the digest of the whole file decides.
        """
        self._tell("starting")
        source = self._source
        fingerprint = await to_thread.run_sync(source.fingerprint)
        try:
            found = await self._retrying.ask("status", self._wire.alike, fingerprint)
        except NotFound:  # an application with a list of its own there, or no Wherry at all
            return None
        whole = [u for u in found if u.state == "complete" and u.size == source.size]
        if not whole:
            return None
        await self._digest([Range(0, source.size)] if source.size else [])
        digest = str(Digest.of_crc(self._parts.crc))
        earlier = next((upload for upload in whole if upload.digest == digest), None)
        if earlier is None:
            return None
        self._teller.note_answered(0, source.size)
        result = self._finish(earlier, time.monotonic())
        return replace(result, was_there=True, deleted_at=earlier.deleted_at)

    async def in_one_request(self) -> Result | None:
        """Send the whole file at once; None if it did not get through and chunks may.

        Raises `AnswerLost` where the upload may be complete without our knowing:
        then nothing is sent a second time by itself.
        """
        self._tell("starting")
        source, data = self._source, b""
        fingerprint = await to_thread.run_sync(source.fingerprint)
        if source.size:
            data, part = await to_thread.run_sync(source.take, Range(0, source.size))
            self._parts = PartSet().add(part)
        began = time.monotonic()
        try:
            done = await self._wire.whole(
                source.name, source.content_type, fingerprint, data, self._note_sent
            )
        except (ConnectionLost, TimedOut) as error:
            if self._teller.sent >= len(data):
                raise _answer_lost(source.name) from error
            # The server drops a body that is not whole, so this cannot make two uploads.
            self._size.note_failed(len(data), time.monotonic() - began)
            if isinstance(error, ConnectionLost) and self._size.note_suspected(len(data)):
                self._note_refused(len(data))
            return None
        except NotConnected:
            return None  # Nothing was sent, and what sends chunks knows how to wait.
        except ClientError as error:
            after = what_next(error, "upload")
            if after is Next.COMPLETE:
                self._teller.note_answered(0, len(data))
                upload_id = str(error.facts["upload_id"])
                done = await self._complete(upload_id, Digest.of_crc(self._parts.crc))
            elif after is Next.SMALLER:
                if isinstance(error, TooLarge):
                    self._size.note_refused(len(data))
                    self._note_refused(len(data))
                return None
            else:
                raise
        finally:
            self._teller.note_answered(self._teller.flying, 0)
        self._size.note_passed(len(data), time.monotonic() - began)
        self._teller.note_answered(0, len(data))
        if done.state != "complete":
            done = await self._complete(done.upload_id, Digest.of_crc(self._parts.crc))
        return self._finish(done, began)

    async def in_chunks(self) -> Result:
        """Send what the server does not have yet, and complete. Raises `ClientError`."""
        self._tell("starting")
        fingerprint = await to_thread.run_sync(self._source.fingerprint)
        try:
            return await self._bring(await self._open(fingerprint))
        except UploadGone as gone:
            if what_next(gone, "chunk") is not Next.ANEW:
                raise
        return await self._bring(await self._open(fingerprint))

    async def _bring(self, opened: UploadStatus) -> Result:
        self._parts, self._resumed = PartSet(), self._source.size
        try:
            for _ in range(ROUNDS):
                digest = await self._send(opened)
                await to_thread.run_sync(self._source.check_unchanged)
                began = time.monotonic()
                try:
                    done = await self._complete(opened.upload_id, digest)
                except BytesMissing:
                    seen = await self._status(opened.upload_id)
                    opened = replace(opened, state=seen.state, received=seen.received)
                else:
                    return self._finish(done, began)
        except FileChanged:
            # Its bytes are a mixture. If this does not get through, they expire.
            with anyio.CancelScope(shield=True), suppress(ClientError):
                await self._wire.cancel(opened.upload_id)
            raise
        raise ServerFailed("The server misses again and again what it has acknowledged.")

    # The steps, each until it gets through.

    async def _open(self, fingerprint: str) -> UploadStatus:
        wanted: dict[str, Any] = {
            "filename": self._source.name,
            "size": self._source.size,
            "content_type": self._source.content_type,
            "chunk_size": self._options.chunk_size,
            "fingerprint": fingerprint,
            "metadata": self._metadata,
        }
        opened = await self._retrying.ask("init", self._wire.init, wanted)
        while opened.is_waiting:
            seen = await self._stand_in_line(opened)
            if seen.is_brought:
                return seen  # by another client, meanwhile
            # Our turn: now it says all.
            opened = await self._retrying.ask("init", self._wire.init, wanted)
        preferred = opened.chunk_size or self._size.preferred
        self._size.offered(preferred, max(FLOOR, opened.min_chunk or 0))
        return opened

    async def _status(self, upload_id: str, *, is_progress: bool = True) -> UploadStatus:
        return await self._retrying.ask(
            "status", self._wire.status, upload_id, is_progress=is_progress
        )

    async def _stand_in_line(self, seen: UploadStatus) -> UploadStatus:
        """The upload as it is when it waits no more. Raises `UploadGone`."""
        while seen.is_waiting:
            pause = pause_of(seen.retry_after)
            self._tell("waiting", pause, position=seen.position)
            await anyio.sleep(pause)
            seen = await self._status(seen.upload_id)
        seen.check_not_gone()
        return seen

    async def _send(self, opened: UploadStatus) -> Digest | None:
        """The whole file's digest; None where another client has brought the rest of it."""
        length = self._source.size
        missing = gaps(opened.received, length) if opened.state == "receiving" else []
        allowed = opened.concurrency or CONCURRENCY
        concurrency = min(self._options.concurrency or allowed, allowed)
        patience = self._retrying.patience
        plan = Plan(length, missing, self._size, concurrency, patience)
        self._resumed = min(self._resumed, length - plan.left)
        self._teller.note_answered(0, length - plan.left)
        self._teller.note_size(self._size.now)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._digest, gaps(plan.to_send, length))
                while not plan.is_done:
                    self._changed = anyio.Event()
                    if plan.must_look and not plan.is_flying:
                        seen = await self._look(plan, opened.upload_id)
                        if seen.is_brought:
                            tasks.cancel_scope.cancel()
                            return None
                        continue  # all of it may be there
                    now = time.monotonic()
                    chunk = plan.next(now)
                    if chunk is not None:
                        tasks.start_soon(self._send_chunk, plan, opened.upload_id, chunk)
                        continue
                    pause = patience.until - now
                    with anyio.move_on_after(pause if pause > 0 else None):
                        await self._changed.wait()
        except ExceptionGroup as group:
            error = group.exceptions[0]
            if isinstance(error, ClientError) and what_next(error, "chunk") is Next.COMPLETE:
                return None
            raise error from error.__cause__
        if length:
            await self._digest([Range(0, length)])  # what arrived though its answer was lost
        return Digest.of_crc(self._parts.crc)

    async def _look(self, plan: Plan, upload_id: str) -> UploadStatus:
        """Find out what became of chunks whose answer did not come from Wherry."""
        seen = await self._stand_in_line(await self._status(upload_id, is_progress=False))
        if refused := plan.looked(seen.received):
            self._note_refused(refused)
        self._teller.note_answered(0, self._source.size - plan.left)
        return seen

    async def _send_chunk(self, plan: Plan, upload_id: str, chunk: Chunk) -> None:
        flown = 0

        def note_sent(size: int) -> None:
            nonlocal flown
            flown += size
            self._note_sent(size)

        data, part = await to_thread.run_sync(self._source.take, chunk.range)
        digest = Digest.of_crc(part.crc)
        if time.monotonic() < self._retrying.patience.until:
            plan.took_back(chunk)  # while it was read, the server has told all of us to wait
            self._changed.set()
            return
        try:
            missing = await self._wire.chunk(upload_id, chunk.range.start, data, digest, note_sent)
        except ClientError as error:
            if plan.failed(chunk, error, time.monotonic(), jitter()):
                self._note_refused(len(data))
            self._tell_trouble(error, self._retrying.pause)
        else:
            plan.passed(chunk, time.monotonic())
            plan.learned(missing)
            if self._parts.missing(chunk.range):  # the server may have lost it since
                self._parts = self._parts.add(part)
        finally:
            self._teller.note_answered(flown, self._source.size - plan.left)
            self._teller.note_size(self._size.now)
            self._changed.set()

    async def _digest(self, known: Sequence[Range]) -> None:
        """Read what this run has not sent itself, so that the whole file is checked in the end."""
        for gap in [gap for known_range in known for gap in self._parts.missing(known_range)]:
            for start in range(gap.start, gap.end, READ_SIZE):
                step = Range(start, min(start + READ_SIZE, gap.end))
                _, part = await to_thread.run_sync(self._source.take, step)
                self._parts = self._parts.add(part)

    async def _complete(self, upload_id: str, digest: Digest | None) -> UploadStatus:
        self._tell("completing")
        while True:
            done = await self._retrying.ask("complete", self._wire.complete, upload_id, digest)
            if done.state == "complete":
                return done
            # It goes on without us. Asked again, the server waits for its end, or takes it up.
            await anyio.sleep(pause_of(done.retry_after))

    # What the caller learns.

    def _finish(self, done: UploadStatus, began: float) -> Result:
        now, teller, size = time.monotonic(), self._teller, self._source.size
        self._tell("done")
        return Result(
            upload_id=done.upload_id,
            assessment_id=done.assessment_id,
            filename=self._source.name,
            size=size,
            bytes_sent=teller.sent,
            bytes_sent_twice=max(teller.sent - (size - self._resumed), 0),
            requests=self._wire.requests,
            refused=teller.refused,
            resumed_bytes=self._resumed,
            chunk_size=self._size.now,
            complete_seconds=now - began,
            seconds=now - self._began,
        )

    def _tell(self, state: str, retry_after: float | None = None, **more: Any) -> None:
        self._teller.tell(state, time.monotonic(), retry_after, **more)

    def _tell_trouble(self, error: ClientError, pause: float) -> None:
        state = "waiting" if isinstance(error, NoRoom) else "retrying"
        position = error.facts.get("position")
        # A refusal for size is told by `refused_size`, once.
        problem = None if isinstance(error, TooLarge) else error.detail
        self._tell(state, max(pause, 0.0), position=position, problem=problem)

    def _note_sent(self, size: int) -> None:
        self._teller.note_sent(size, time.monotonic())

    def _note_refused(self, size: int) -> None:
        self._teller.note_refused(size)
        self._teller.note_size(self._size.now)


def _answer_lost(name: str) -> AnswerLost:
    return AnswerLost(
        f"The answer to {name} was lost after all of it was sent.",
        "It may have arrived: look at your uploads before you send it again. "
        "In chunks, without the one request, this cannot happen.",
        "answer-lost",
    )
