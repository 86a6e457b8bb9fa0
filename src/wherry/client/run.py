"""One upload from its first request to its last: carries out the plan.

Rule 1: the algorithm is in `plan.py`. This module only reads, sends, waits and reports.

Rule 2: only the bytes in flight are in memory, at most `concurrency` chunks.

Rule 3: if the process ends at any line, also by kill -9, no acknowledged byte is lost: `init` with
the same fingerprint finds the upload again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio import to_thread

from wherry.client.answers import UploadStatus
from wherry.client.backoff import pause_of
from wherry.client.chunk_size import FLOOR, ChunkSize
from wherry.client.decisions import Next, what_next
from wherry.client.direct import LARGEST_PART, DirectWay
from wherry.client.early_verdict import EarlyQuestions, OnEarly
from wherry.client.errors import (
    BytesMissing,
    ClientError,
    FileChanged,
    GaveUp,
    NoRoom,
    NotFound,
    ServerFailed,
    StoppedEarly,
    TooLarge,
    UploadGone,
)
from wherry.client.one_request import OneRequest
from wherry.client.part_sending import InChunks, PartSending, StoreFailed
from wherry.client.plan import Chunk, Plan
from wherry.client.progress import ProgressReporter, Result
from wherry.client.ranges import gaps
from wherry.client.retrying import Retrying, jitter
from wherry.client.source import Source, Whole
from wherry.client.wire import WholeFile, Wire
from wherry.core.digests import Digest
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import PartSet, Range

#: Chunks in parallel where the server does not say.
CONCURRENCY = 4
#: What a form adds to the size of a file, at most (bytes).
LARGEST_FORM = 4 * KiB
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
        reporter: ProgressReporter,
        *,
        options: Options,
        way: DirectWay,
        metadata: Mapping[str, str] | None = None,
        on_early: OnEarly | None = None,
    ) -> None:
        self._wire = wire
        self._on_early = on_early
        self._way = way
        self._direct = 0  # bytes that went to the object store
        self._source = source
        self._size = size
        self._reporter = reporter
        self._options = options
        self._metadata = metadata
        self._retrying = Retrying(options.patience, self._report_trouble)
        self._parts = PartSet()  # the digests of what was read of the file
        self._changed = anyio.Event()
        self._began = time.monotonic()
        self._resumed = 0

    async def from_before(self) -> Result | None:
        """The result of an earlier complete upload of this file; None if there is none.

        The fingerprint finds candidates, and the digest of the whole file decides.
        """
        self._report("starting")
        source, sent_whole = self._source, self._source.whole
        fingerprint = (
            sent_whole.fingerprint if sent_whole else await to_thread.run_sync(source.fingerprint)
        )
        try:
            found = await self._retrying.ask("status", self._wire.alike, fingerprint)
        except NotFound:  # the application has a list of its own here, or there is no Wherry
            return None
        whole = [u for u in found if u.state == "complete" and u.size == source.size]
        if not whole:
            return None
        if sent_whole:
            digest = str(_digest_of(sent_whole))
        else:
            await self._digest([Range(0, source.size)] if source.size else [])
            digest = str(Digest.of_crc(self._parts.crc))
        earlier = next((upload for upload in whole if upload.digest == digest), None)
        if earlier is None:
            return None
        self._reporter.note_answered(0, source.size)
        result = self._finish(earlier, time.monotonic())
        return replace(result, was_there=True, deleted_at=earlier.deleted_at)

    async def in_one_request(self, whole: Whole) -> Result | None:
        """Send the whole file in one request; None if it is to be sent in chunks."""
        self._report("starting")
        is_form = self._metadata or self._size.path.as_form
        one = OneRequest(self._source.size, self._size, LARGEST_FORM if is_form else 0)
        began = time.monotonic()
        try:
            done = await self._retrying.ask("upload", self._ask_or_send, one, whole)
        except ClientError as error:
            after = what_next(error, "upload")
            if after is Next.SMALLER:
                return None
            if after is not Next.COMPLETE:
                raise
            done = UploadStatus(str(error.facts["upload_id"]), "completing")
        if done is None:
            return None
        self._reporter.note_answered(0, self._source.size)
        if done.state != "complete":
            done = await self._complete(done.upload_id, _digest_of(whole))
        return self._finish(done, began)

    async def _ask_or_send(self, one: OneRequest, whole: Whole) -> UploadStatus | None:
        if one.next == "ask" and one.key is not None:
            try:
                return await self._wire.answer_to(one.key)
            except UploadGone:
                one.key = None  # it has ended without the whole file, so its key is used up
            except ClientError as error:
                if error.code != "bad-request":
                    one.suspected = None  # the server may have been away all the time
                    raise
            if one.absent():
                self._note_refused(len(whole.data))
        return await self._send_whole(one, whole) if one.next == "send" else None

    async def _send_whole(self, one: OneRequest, whole: Whole) -> UploadStatus:
        flown = 0
        source, size = self._source, len(whole.data)
        is_proven = self._size.is_proven(size)

        def note_sent(sent: int) -> None:
            nonlocal flown
            sent = min(sent, size - flown)  # a form is larger than its file
            flown += sent
            self._note_sent(sent, is_proven=is_proven)

        kind, metadata = source.content_type, self._metadata or {}
        digest = _digest_of(whole)
        file = WholeFile(source.name, kind, whole.fingerprint, metadata, whole.data, digest)
        one.key = one.key or secrets.token_urlsafe(24)
        one.is_unclear = True
        began = time.monotonic()
        try:
            done = await self._wire.whole(one.key, file, note_sent)
        except ClientError as error:
            one.failed(error, time.monotonic() - began)
            if isinstance(error, TooLarge):
                self._note_refused(size)
            raise
        finally:
            self._reporter.note_answered(flown, 0, was_proven=is_proven)
        self._size.note_passed(size, time.monotonic() - began)
        return done

    async def in_chunks(self) -> Result:
        """Send the bytes that the server does not have, and complete. Raises `ClientError`."""
        self._report("starting")
        fingerprint = await to_thread.run_sync(self._source.fingerprint)
        try:
            return await self._send_and_complete(await self._open(fingerprint))
        except UploadGone as gone:
            if what_next(gone, "chunk") is not Next.ANEW:
                raise
        return await self._send_and_complete(await self._open(fingerprint))

    async def _send_and_complete(self, opened: UploadStatus) -> Result:
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
        except (FileChanged, StoppedEarly):
            # The bytes received are a mixture, or not wanted. If this request fails, they expire.
            with anyio.CancelScope(shield=True), suppress(ClientError):
                await self._wire.cancel(opened.upload_id)
            raise
        raise ServerFailed("The server keeps reporting acknowledged bytes as missing.")

    # The steps. Each is repeated until it gets through.

    async def _open(self, fingerprint: str) -> UploadStatus:
        wanted: dict[str, Any] = {
            "filename": self._source.name,
            "size": self._source.size,
            "content_type": self._source.content_type,
            "chunk_size": self._options.chunk_size,
            "fingerprint": fingerprint,
            "metadata": self._metadata,
            "direct": True,
        }
        opened = await self._retrying.ask("init", self._wire.init, wanted)
        while opened.is_waiting:
            seen = await self._wait_in_queue(opened)
            if seen.has_arrived:
                return seen  # another client has sent the rest meanwhile
            # The upload is admitted: now `init` returns all facts.
            opened = await self._retrying.ask("init", self._wire.init, wanted)
        preferred = opened.chunk_size or self._size.preferred
        self._size.offered(preferred, max(FLOOR, opened.min_chunk or 0))
        self._size.told(opened.passes, opened.refuses)
        return opened

    async def _status(self, upload_id: str, *, is_progress: bool = True) -> UploadStatus:
        return await self._retrying.ask(
            "status", self._wire.status, upload_id, is_progress=is_progress
        )

    async def _wait_in_queue(self, seen: UploadStatus) -> UploadStatus:
        """Wait until the upload leaves the queue, and return it. Raises `UploadGone`."""
        while seen.is_waiting:
            pause = pause_of(seen.retry_after)
            self._report("waiting", pause, position=seen.position)
            await anyio.sleep(pause)
            seen = await self._status(seen.upload_id)
        seen.check_not_gone()
        return seen

    async def _send(self, opened: UploadStatus) -> Digest | None:
        """Returns the whole file's digest; None if another client has sent the rest of it."""
        length = self._source.size
        missing = gaps(opened.received, length) if opened.state == "receiving" else []
        allowed = opened.concurrency or CONCURRENCY
        concurrency = min(self._options.concurrency or allowed, allowed)
        backoff = self._retrying.backoff
        is_direct = self._way.is_open and (opened.part_size or 0) <= LARGEST_PART
        part_size = opened.part_size if is_direct else None
        plan = Plan(length, missing, self._size, concurrency, backoff, part_size, opened.tail or 0)
        early = EarlyQuestions(length, opened.tail if self._on_early else None)
        parts = PartSending(self._wire, self._retrying, self._way, opened.upload_id)
        self._resumed = min(self._resumed, length - plan.left)
        self._reporter.note_answered(0, length - plan.left)
        self._reporter.note_size(plan.chunk_size)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._digest, gaps(plan.to_send, length))
                asking = anyio.CancelScope()
                while not plan.is_done:
                    self._changed = anyio.Event()
                    if early.is_due(plan.is_safe, self._reporter.seconds_left):
                        asking = anyio.CancelScope()
                        tasks.start_soon(self._ask_early, early, opened.upload_id, asking)
                    if plan.must_look and not plan.is_flying:
                        seen = await self._look(plan, opened.upload_id)
                        if seen.has_arrived:
                            tasks.cancel_scope.cancel()
                            return None
                        continue  # the whole file may have arrived
                    now = time.monotonic()
                    chunk = plan.next(now)
                    if chunk is not None and chunk.part is not None:
                        tasks.start_soon(self._send_part, plan, parts, chunk, chunk.part)
                        continue
                    if chunk is not None:
                        tasks.start_soon(self._send_chunk, plan, opened.upload_id, chunk)
                        continue
                    pause = backoff.until - now
                    with anyio.move_on_after(pause if pause > 0 else None):
                        await self._changed.wait()
                asking.cancel()
        except ExceptionGroup as group:
            error = group.exceptions[0]
            if isinstance(error, ClientError) and what_next(error, "chunk") is Next.COMPLETE:
                return None
            raise error from error.__cause__
        if length:
            await self._digest([Range(0, length)])  # also chunks whose answers were lost
        return Digest.of_crc(self._parts.crc)

    async def _look(self, plan: Plan, upload_id: str) -> UploadStatus:
        """Ask for the status, after chunks whose answer did not come from Wherry."""
        seen = await self._wait_in_queue(await self._status(upload_id, is_progress=False))
        if refused := plan.looked(seen.received):
            self._note_refused(refused)
            self._reporter.note_size(plan.chunk_size)
        self._reporter.note_answered(0, self._source.size - plan.left)
        return seen

    async def _send_chunk(self, plan: Plan, upload_id: str, chunk: Chunk) -> None:
        flown, is_proven = 0, self._size.is_proven(len(chunk.range))

        def note_sent(size: int) -> None:
            nonlocal flown
            flown += size
            self._note_sent(size, is_proven=is_proven)

        data, part = await to_thread.run_sync(self._source.take, chunk.range)
        digest = Digest.of_crc(part.crc)
        if time.monotonic() < self._retrying.backoff.until:
            plan.took_back(chunk)  # while the chunk was read, an answer to another one made us wait
            self._changed.set()
            return
        try:
            missing = await self._wire.chunk(upload_id, chunk.range.start, data, digest, note_sent)
        except ClientError as error:
            if plan.failed(chunk, error, time.monotonic(), jitter()):
                self._note_refused(len(data))
            self._report_trouble(error, self._retrying.pause)
        else:
            plan.passed(chunk, time.monotonic())
            plan.learned(missing)
            if self._parts.missing(chunk.range):  # the server may have lost the part since
                self._parts = self._parts.add(part)
        finally:
            safe = self._source.size - plan.left
            self._reporter.note_answered(flown, safe, was_proven=is_proven)
            self._reporter.note_size(plan.chunk_size)
            self._changed.set()

    async def _send_part(self, plan: Plan, parts: PartSending, chunk: Chunk, number: int) -> None:
        """Send a part to the object store."""
        flown = 0

        def note_sent(size: int) -> None:
            nonlocal flown
            flown += size
            self._note_sent(size)

        data, part = await to_thread.run_sync(self._source.take, chunk.range)
        try:
            missing = await parts.send(number, data, part.crc, note_sent)
        except StoreFailed as error:
            plan.took_back(chunk)
            self._store_failed(plan, error, chunk)
        except InChunks as refused:
            plan.to_chunks(chunk)
            if refused.is_all:
                plan.end_direct()
        else:
            plan.passed(chunk, time.monotonic())
            if missing is not None:
                plan.learned(missing)
                self._direct += len(data)
            if self._parts.missing(chunk.range):
                self._parts = self._parts.add(part)
        finally:
            self._reporter.note_answered(flown, self._source.size - plan.left)
            self._changed.set()

    async def _ask_early(
        self, early: EarlyQuestions, upload_id: str, asking: anyio.CancelScope
    ) -> None:
        """Ask once for the early verdict, and tell it. Raises `StoppedEarly`."""
        verdict = None
        with asking, suppress(ClientError):  # the upload does not depend on it
            path = f"/chunked-upload/{upload_id}/early-verdict"
            verdict = early.answered(await self._wire.get(path))
        self._changed.set()  # by now, the bytes may be there that the server lacks
        if verdict and self._on_early and self._on_early(verdict):
            raise StoppedEarly(
                " ".join(["The upload was stopped.", *(one.message for one in verdict.findings)]),
                "The bytes that were received are deleted.",
                code="stopped-early",
            )

    def _store_failed(self, plan: Plan, error: StoreFailed, chunk: Chunk) -> None:
        try:
            self._retrying.backoff.failed(error, chunk.began, time.monotonic(), jitter())
        except GaveUp:
            plan.end_direct()  # Wherry itself has not failed
        else:
            self._report_trouble(error, self._retrying.pause)

    async def _digest(self, known: Sequence[Range]) -> None:
        """Read what this run did not send, so that the digest covers the whole file."""
        for gap in [gap for known_range in known for gap in self._parts.missing(known_range)]:
            for start in range(gap.start, gap.end, READ_SIZE):
                step = Range(start, min(start + READ_SIZE, gap.end))
                _, part = await to_thread.run_sync(self._source.take, step)
                self._parts = self._parts.add(part)

    async def _complete(self, upload_id: str, digest: Digest | None) -> UploadStatus:
        self._report("completing")
        while True:
            done = await self._retrying.ask("complete", self._wire.complete, upload_id, digest)
            if done.state == "complete":
                return done
            # Completion goes on without us. The next request waits for its end, or resumes it.
            await anyio.sleep(pause_of(done.retry_after))

    # What is reported to the caller.

    def _finish(self, done: UploadStatus, began: float) -> Result:
        now, reporter, size = time.monotonic(), self._reporter, self._source.size
        self._report("done")
        return Result(
            upload_id=done.upload_id,
            assessment_id=done.assessment_id,
            filename=self._source.name,
            size=size,
            bytes_sent=reporter.sent,
            bytes_sent_twice=max(reporter.sent - (size - self._resumed), 0),
            requests=self._wire.requests,
            refused=reporter.refused,
            resumed_bytes=self._resumed,
            direct_bytes=self._direct,
            chunk_size=self._size.now(0),
            complete_seconds=now - began,
            seconds=now - self._began,
        )

    def _report(self, state: str, retry_after: float | None = None, **more: Any) -> None:
        self._reporter.report(state, time.monotonic(), retry_after, **more)

    def _report_trouble(self, error: ClientError, pause: float) -> None:
        state = "waiting" if isinstance(error, NoRoom) else "retrying"
        position = error.facts.get("position")
        # A refusal for size is reported once, in `refused_size`.
        problem = None if isinstance(error, TooLarge) else error.detail
        self._report(state, max(pause, 0.0), position=position, problem=problem)

    def _note_sent(self, size: int, *, is_proven: bool = True) -> None:
        self._reporter.note_sent(size, time.monotonic(), is_proven=is_proven)

    def _note_refused(self, size: int) -> None:
        self._reporter.note_refused(size)
        self._reporter.note_size(self._size.now(self._source.size))


def _digest_of(whole: Whole) -> Digest:
    return Digest.of_crc(whole.part.crc if whole.part else PartSet().crc)
