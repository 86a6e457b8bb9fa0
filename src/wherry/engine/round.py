"""One round of a request, as the threads of the disk carry it out: from the lock to the record.

Rule 1: everything here blocks and runs on a thread, one call at a time. `Writing` calls it, or
the body does: a round is the sink that the body is poured into.

Rule 2: what is missing is read under the lock, and the lock is held until the record is made
or refused. So the gaps of a round stay gaps, whoever else wants these bytes.

Rule 3: a round that comes to nothing is closed on a thread of the disk. Its file may have been
removed, because the upload has ended; then closing it frees the space, which takes seconds for a
large file.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future

from wherry.body import Ended, Receiver
from wherry.core.errors import Superseded
from wherry.core.requests import Write
from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.engine.file_types import HEAD, FileTypes
from wherry.engine.openwrites import OpenWrite
from wherry.storage import RangeLocked, Vanished, Writer


class SteppedAside(Exception):
    """The round cannot begin without a lease. Nothing has changed."""


class Round:
    """The sink of the bytes of `mine`.

    `at`: how far it came; `ended`: how the body ended by then. `received`: how many bytes were
    missing before. `recorded`: the record, once it is under way; the lock ends with it, or by
    `close` if it is refused.
    """

    def __init__(
        self, context: Context, file_types: FileTypes, mine: OpenWrite, write: Write
    ) -> None:
        self.mine = mine
        self.is_gathered = False  #: Whether it has taken the whole of a body at once (`take`).
        self.ended = Ended.WHOLE
        self.begun = context.clock()
        self.at = mine.range.start
        self.received = 0
        self.recorded: Future[Upload] | None = None
        self._context = context
        self._file_types = file_types
        self._expected = write.digest.expect() if write.digest else None
        #: Whether it is the only round of its body. Then its last byte ends it; the rounds of a
        #: longer body end one after the other.
        self.is_only = mine.is_first and mine.range.end == mine.whole.end
        self._has_head = mine.range.start == 0 and file_types.is_checked
        self._head = bytearray()  # the first bytes of the body, while the type is not checked
        self._brings_head = False  # whether none of them was there before
        self._writer: Writer | None = None
        # Where the leases of others matter: the first round takes those of later rounds, too.
        self._concerns = mine.whole if mine.is_first else mine.range

    # The beginning.

    def open_without_lease(self) -> None:
        """Raises what the client is told, and `SteppedAside` where it takes a lease."""
        mine, limits = self.mine, self._context.limits
        try:
            self._open()
        except RangeLocked:
            # Another request is writing here. It may be older than a request that has just
            # come, but to one that has been here before it counts as newer.
            raise (SteppedAside if mine.is_first else Superseded) from None
        except (Vanished, OSError, ValueError):
            # The client may have no right to be told that. The other way asks the record first.
            raise SteppedAside from None
        try:
            upload = self._read()
            mine.check(upload, limits)
            if upload.has_foreign_lease(self._concerns, mine.token):
                raise SteppedAside if mine.is_first else Superseded
            if not upload.needs_no_lease(self.begun, limits):
                raise SteppedAside
        except BaseException:
            self.close()
            raise
        mine.is_open = True

    def open_with_lease(self) -> None:
        """Raises `RangeLocked`, `Vanished`; `Superseded` where a newer request has the lease."""
        self._open()
        try:
            if not self._read().holds(self.mine.token):
                raise Superseded
        except BaseException:
            self.close()
            raise
        self.mine.is_open = True

    def _open(self) -> None:
        # Kept here at once: the task that waits may be cancelled, and the range be given back.
        self._writer = self._context.storage.open(self.mine.upload_id, self.mine.range)

    def _read(self) -> Upload:
        mine = self.mine
        self._upload = self._context.catalog.around(mine.upload_id, self._concerns)
        gaps = self._upload.received.missing(mine.range)
        head = min(HEAD, mine.range.end)
        self._brings_head = bool(gaps) and gaps[0].start == 0 and gaps[0].end >= head
        self._receiver = Receiver(self.at, gaps, self._opened.write, self._expected)
        return self._upload

    @property
    def _opened(self) -> Writer:
        if self._writer is None:
            raise ValueError("the range is not open")
        return self._writer

    # The bytes.

    def take(self, pieces: Iterable[memoryview]) -> Future[Upload]:
        """The whole of a body that was gathered. Raises what the methods before and after do."""
        try:
            self.open_without_lease()
            for piece in pieces:
                self(piece)
        except BaseException:
            self.close()
            raise
        recorded = self.recorded or self.finish()
        # Here and not by the task, which may be cancelled when the body is recorded already.
        self.is_gathered = True
        return recorded

    def __call__(self, data: memoryview) -> None:
        """Write the next bytes. Raises `OSError`, `TypeRefused`, and at the end as `finish`."""
        self._receiver(data)
        self.at = self._receiver.at
        if self._has_head and len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        # The type shows in the first 8 KiB. A client should not send the whole of a file that is
        # refused for its type, so it is checked as soon as they are written. Nothing of the
        # round is recorded then, and `Engine` deletes the upload.
        if self._has_head and self._expected is None:
            self._check_type()
        if self.is_only and self.at >= self.mine.range.end:
            self.finish()

    def _check_type(self) -> None:
        if self._upload.is_piece:  # its first bytes may be from the middle of the file
            self._has_head = False
            return
        length = self._upload.length
        needed = HEAD if length is None else min(HEAD, length)
        # Where fewer bytes came, the type is checked only at completion.
        if self.at >= needed:
            self._has_head = False
            head = bytes(self._head)
            if not self._brings_head:  # what came before stays, and is in storage
                head = self._context.storage.head(self.mine.upload_id, HEAD)
            if len(head) >= needed:
                self._file_types.check_head(head)

    # The end.

    def finish(self) -> Future[Upload]:
        """Sync what came, and have it recorded.

        Raises `OSError`, `Vanished`, `DigestMismatch`, `TypeRefused`; its future as `record`.
        """
        context, mine, writer = self._context, self.mine, self._opened
        now = context.clock()
        parts = self._receiver.parts(now)
        if self._expected is not None:
            if self.ended is not Ended.WHOLE:
                parts = ()  # half of a body cannot be checked, so none of it is recorded
            else:
                self._expected.check()
                if self._has_head:
                    # Not before the digest: damaged first bytes say nothing about the file,
                    # and a refusal deletes the upload.
                    self._check_type()
        if parts:
            _sync(writer)
        # A crash here: the bytes are safe but not recorded. The client sends them again,
        # and they are written again, over themselves.
        self.received = sum(part.end - part.start for part in parts)
        limits = context.limits
        locked = mine.range if context.storage.capabilities.locks_ranges else None

        def record(upload: Upload) -> Upload:
            return upload.record(mine.token, parts, locked).keep_slot(now, limits)

        with mine.asking:
            mine.is_recording = True
            self.recorded = context.catalog.submit_update(mine.upload_id, record)
        # A crash here: recorded or not, and the client does not know. It asks how far it came,
        # or sends the bytes again, which are then thrown away.
        self.recorded.add_done_callback(self._close_recorded)
        return self.recorded

    def _close_recorded(self, recorded: Future[Upload]) -> None:
        """Give the range back, on the thread of the catalog, where that is quick: see rule 3."""
        if not _has_failed(recorded):
            self._close()

    def close(self) -> None:
        """Give the range back; if the record is under way, when it is made or refused."""
        if self.recorded is None or _has_failed(self.recorded):
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.__exit__(None, None, None)


def _has_failed(recorded: Future[Upload]) -> bool:
    """Whether nothing was recorded. Waits for that."""
    return recorded.cancelled() or recorded.exception() is not None


def _sync(writer: Writer) -> None:
    """Raises `Vanished` where the bytes went into a folder that was removed meanwhile.

    A file that is open can be written after it was deleted; the bytes are lost when it closes.
    """
    try:
        writer.sync()
    except FileNotFoundError:
        raise Vanished from None
