"""The catalog in SQLite.

Rule 1: every change goes through the one writer thread; every question has a
reader thread and a connection of its own, and never waits for the writer. Lists have
threads apart, so that nobody who sends a chunk waits behind them.

Rule 2: several processes may have the same file open. Nothing is kept in
memory that another process could make untrue unnoticed.

Rule 3: while the file is away or replaced, every question and change raises `StorageFailed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from wherry.catalog import Change, Choice, lists, queries, sqlcounts, sqlite
from wherry.catalog.anchor import Anchor
from wherry.catalog.ballast import Ballast
from wherry.catalog.counts import Counts
from wherry.catalog.migrations import migrate
from wherry.catalog.operations import (
    Advance,
    Create,
    Forget,
    LeaseAssessment,
    Update,
    UpdateAssessment,
)
from wherry.catalog.writer import Writer
from wherry.core.admission import Line
from wherry.core.assessment import Assessment
from wherry.core.errors import DiskFull, NotThere, UploadNotFound
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.upload import State, Upload

T = TypeVar("T")

#: How many questions are answered at once.
READERS = 4
#: How many pages of lists are read at once; who asks for more of them waits.
LISTERS = 1


class SqlCatalog:
    """A `Catalog` for coroutines on any asyncio loop, and for threads (`*_blocking`).

    Beside what each method says, changing raises `DiskFull`, and everything
    raises `StorageFailed` when the disk or the database does not do its part.
    """

    def __init__(self, where: str | Path) -> None:
        """Open the database at this path or URL, and bring its tables up to date. Blocks.

        Raises `ValueError` for a kind of database that is not known, `RuntimeError` for
        one that is not durable, `alembic.util.CommandError` for one made by a newer
        Wherry, `DiskFull` or `StorageFailed` for one that cannot be used.
        """
        # The writer has one connection for long, and its checkpoint one for a moment.
        url = sqlite.parse_url(where)
        self._anchor: Anchor | None = None
        self._engine = sqlite.open_engine(
            url, READERS + LISTERS + 2, may_create=lambda: self._anchor is None
        )
        self._ballast: Ballast | None = None
        try:
            self._open(url)
        except BaseException as error:
            self._engine.dispose()
            raise sqlite.failure(error) or error from error
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="wherry-catalog-reader")
        self._listers = ThreadPoolExecutor(LISTERS, thread_name_prefix="wherry-catalog-lister")
        self._writer = Writer(self._engine, self._check_present, self._ballast)

    def _open(self, url: URL) -> None:
        if (path := sqlite.path_of(url)) is None:
            migrate(self._engine)
            return
        beside = path.absolute().with_name(f"{path.name}-ballast")
        try:
            migrate(self._engine)
        except SQLAlchemyError as error:
            # On a full disk, even opening needs some room; what an earlier run kept is there.
            is_full = isinstance(sqlite.failure(error), DiskFull)
            if not (is_full and beside.exists() and (ballast := Ballast(beside)).give_up()):
                raise
            self._ballast = ballast
            self._engine.dispose()
            migrate(self._engine)
        self._anchor = Anchor(path.absolute(), sqlite.connect(url, may_create=False))
        self._ballast = self._ballast or Ballast(beside)
        self._ballast.fill()

    async def create(self, upload: Upload) -> Upload:
        return await _wait(self._writer.submit(Create(upload)))

    async def line(self, now: float, latest: float = inf) -> Line:
        return await self._read(lambda c: queries.line(c, now, latest))

    async def advance(
        self, now: float, choose: Choice, change: Change, latest: float = inf
    ) -> list[Upload]:
        return await _wait(self._writer.submit(Advance(now, choose, change, latest)))

    async def load(self, upload_id: str) -> Upload:
        found = await self._read(lambda c: queries.uploads_by_id(c, [upload_id]))
        if upload_id not in found:
            raise UploadNotFound(upload_id)
        return found[upload_id]

    async def tokens(self, upload_id: str) -> frozenset[str]:
        return await self._read(lambda c: queries.tokens(c, upload_id))

    async def update(
        self, upload_id: str, change: Change, queue: Assessment | None = None
    ) -> Upload:
        return await _wait(self._writer.submit(Update(upload_id, change, queue)))

    def update_blocking(self, upload_id: str, change: Change) -> Upload:
        """`update` for a thread that no event loop may hold up."""
        return self._writer.submit(Update(upload_id, change)).result()

    async def uploads(
        self,
        states: Collection[State] | None = None,
        owner: str | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Upload]:
        return await self._list(lambda c: lists.uploads_page(c, states, owner, page))

    async def alike(self, owner: str, fingerprint: str) -> list[Upload]:
        return await self._list(lambda c: lists.alike(c, owner, fingerprint))

    async def ids(self, states: Collection[State]) -> frozenset[str]:
        return await self._list(lambda c: lists.ids(c, states))

    async def due(
        self, states: Collection[State], before: float, now: float, page: PageRequest = FIRST_PAGE
    ) -> Page[Upload]:
        return await self._list(lambda c: lists.due(c, states, before, now, page))

    async def due_files(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        return await self._list(lambda c: lists.due_files(c, before, page))

    async def due_records(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        return await self._list(lambda c: lists.due_records(c, before, page))

    async def counts(self, now: float, latest: float = inf) -> Counts:
        return await self._read(lambda c: sqlcounts.counts(c, now, latest))

    async def newest(self) -> float | None:
        return await self._read(queries.newest)

    async def used(self) -> int:
        return await self._read(sqlcounts.used)

    async def forget(self, upload_ids: Collection[str]) -> None:
        await _wait(self._writer.submit(Forget(tuple(upload_ids))))

    async def load_assessment(self, assessment_id: str) -> Assessment:
        found = await self._read(lambda c: queries.assessment_by_id(c, assessment_id))
        if found is None:
            raise NotThere
        return found

    async def update_assessment(
        self, assessment_id: str, change: Callable[[Assessment], Assessment]
    ) -> Assessment:
        return await _wait(self._writer.submit(UpdateAssessment(assessment_id, change)))

    async def lease_assessment(
        self, now: float, change: Callable[[Assessment], Assessment]
    ) -> Assessment | None:
        # Asked twice a second by every worker, and nearly always in vain: no write for that.
        if await self._read(lambda c: queries.leasable_assessment(c, now)) is None:
            return None
        return await _wait(self._writer.submit(LeaseAssessment(now, change)))

    async def assessments(self, page: PageRequest = FIRST_PAGE) -> Page[Assessment]:
        return await self._list(lambda c: lists.assessments_page(c, page))

    async def close(self) -> None:
        """Carry out what waits, answer what was asked, let go of the files. Again: nothing."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._readers.shutdown()
        self._listers.shutdown()
        self._engine.dispose()
        if self._anchor is not None:
            self._anchor.close()
        if self._ballast is not None:
            self._ballast.close()

    def _check_present(self) -> None:
        if self._anchor is not None:
            self._anchor.check()

    async def _read(self, ask: Callable[[Connection], T]) -> T:
        """Of one upload, or of what is open: an answer that somebody waits for."""
        return await self._ask(self._readers, ask)

    async def _list(self, ask: Callable[[Connection], T]) -> T:
        return await self._ask(self._listers, ask)

    async def _ask(self, threads: ThreadPoolExecutor, ask: Callable[[Connection], T]) -> T:
        def answer() -> T:
            self._check_present()
            try:
                with self._engine.connect() as connection:
                    return ask(connection)
            except SQLAlchemyError as error:
                raise sqlite.failure(error) or error from error

        return await _wait(threads.submit(answer))


async def _wait(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)
