"""What is checked before anything is started: whether catalog and files belong together.

Rule 1: a start that finds a catalog and files that do not belong together changes nothing. It would
delete the files that the catalog does not know, and give up the uploads whose files are elsewhere.

Rule 2: where the catalog, or the files, are not in the data folder, both have a record of both
(`Installation`). The storage gets its record first. So a crash between the two is told from a
catalog that is new beside files of another one.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.app.backends import (
    check_catalog,
    has_catalog,
    new_id,
    open_catalog,
    open_locks,
    unchecked_storage,
)
from wherry.catalog import Catalog
from wherry.catalog.pages import every_page
from wherry.core.errors import StorageFailed
from wherry.core.installation import NAME, Installation
from wherry.core.upload import HOLDS_SPACE, State, Upload
from wherry.settings import Settings
from wherry.storage import Storage
from wherry.storage.folders import RECORD, FolderAway
from wherry.storage.local import LocalStorage

if TYPE_CHECKING:
    from wherry.storage.s3.storage import S3Storage

_AWAY_AT_START = (
    ". The catalog knows uploads that should be in it, and it has none of them. Mount it or move "
    f"it back, and start again. If it was deleted on purpose, delete {RECORD} beside it: the "
    "uploads then count as deleted"
)
_OTHER_CATALOG = (
    "the files here belong to another catalog. This one would delete those that it does not know. "
    "Nothing was changed. Correct the settings `database`, `data` and `storage`, or restore the "
    "catalog. Only to use these files with this catalog from now on: stop all servers, and run "
    "wherry storage adopt"
)
_OTHER_STORAGE = (
    "the uploads of this catalog belong to another storage. They would count as deleted here. "
    "Nothing was changed. Correct the settings `database`, `data` and `storage`, or mount the "
    "volume. Only to use this storage with this catalog from now on, for example after its files "
    "were lost: stop all servers, and run wherry storage adopt"
)
_UNREADABLE = (
    "cannot be read. It says which catalog the files belong to. Restore it; or, if the settings "
    "are right, run: wherry storage adopt"
)

_DATABASE_AWAY = (
    "{problem}. All records and files are as they were. Start the database, or correct the setting "
    "`database`; then try again"
)

#: Where the files of so many uploads are missing, all of them count as missing.
ENOUGH = 100


def check_storage(settings: Settings) -> None:
    """Check the storage before anything starts. Raises `OSError` if it cannot be used."""
    check_catalog(settings)
    with saying_what_to_do(settings):
        asyncio.run(check_start(settings))
    unchecked_storage(settings).check()


@contextmanager
def saying_what_to_do(settings: Settings) -> Iterator[None]:
    """Raises `ConnectionError` where the database of the settings fails at a start."""
    try:
        yield
    except StorageFailed as failed:
        if settings.database is None:
            raise
        raise ConnectionError(_DATABASE_AWAY.format(problem=failed.problem)) from failed


async def check_start(settings: Settings) -> None:
    """Raises `OSError` where catalog and files do not belong together.

    A new folder, or a restored backup with the uploads in it, is accepted.
    """
    if settings.storage is None:
        await _check_folders(settings)
    if settings.storage is not None or settings.database is not None:
        await _check_installation(settings)


async def adopt(settings: Settings, leader: str) -> tuple[int, int]:
    """Record that the catalog and the storage of the settings belong together from now on.

    Returns how many uploads of the catalog have bytes, and of how many of them none is there.
    `leader`: the lock of the server that leads. Raises `RuntimeError` while a server leads that
    keeps its locks in the same folder or, with files in a bucket, in the same database. A server
    that is stopping, or a worker, is not noticed; no record or file moves, so what it records
    meanwhile stays.
    """
    storage = await asyncio.to_thread(unchecked_storage, settings)
    await asyncio.to_thread(storage.check)
    catalog = await asyncio.to_thread(open_catalog, settings)
    locks = open_locks(settings, storage)
    try:
        alone = await asyncio.to_thread(locks.take, leader)
        if alone is None:
            raise RuntimeError("a server is running; stop all servers first")
        with alone:
            there = [is_there async for is_there in _present(storage, catalog)]
            # A new identifier: another storage may still have a record of the old one.
            mine = (await catalog.identify(new_id())).join(new_id(), replace=True)
            await asyncio.to_thread(storage.installation.write, mine, replace=True)
            await catalog.identify(mine.catalog, mine.storage, replace=True)
        return len(there), there.count(False)
    finally:
        locks.close()
        await catalog.close()


async def _check_installation(settings: Settings) -> None:
    storage = await asyncio.to_thread(unchecked_storage, settings)
    where = settings.storage or str(settings.data)
    try:
        there = await asyncio.to_thread(storage.installation.read)
    except ValueError:
        raise OSError(errno.EINVAL, _UNREADABLE, f"{where}/{NAME}") from None
    if there is not None and not has_catalog(settings):
        raise OSError(errno.ENOENT, _OTHER_CATALOG, where)
    catalog = await asyncio.to_thread(open_catalog, settings)
    try:
        mine = await catalog.identify(new_id())
        if there is None and mine.storage is not None:
            # Another server has started meanwhile; the storage got its record first.
            there = await asyncio.to_thread(storage.installation.read)
        if there is None:
            there = await _join(storage, catalog, mine, where)
        if there.catalog != mine.catalog:
            raise OSError(errno.EEXIST, _OTHER_CATALOG, where)
        mine = await catalog.identify(mine.catalog, there.storage)
        if mine.storage != there.storage:
            raise OSError(errno.ENOENT, _OTHER_STORAGE, where)
    finally:
        await catalog.close()


async def _join(
    storage: LocalStorage | S3Storage, catalog: Catalog, mine: Installation, where: str
) -> Installation:
    """Record that a storage without a record belongs to this catalog; what is recorded then."""
    await asyncio.to_thread(storage.check)
    if mine.storage is not None or await _has_lost_all(storage, catalog):
        raise OSError(errno.ENOENT, _OTHER_STORAGE, where)
    new = mine.join(new_id())
    await asyncio.to_thread(storage.installation.write, new)
    # Another process may have been quicker.
    return await asyncio.to_thread(storage.installation.read) or new


async def _has_lost_all(storage: Storage, catalog: Catalog) -> bool:
    """Whether the catalog knows uploads with bytes, and the storage has none of the first ones."""
    known = 0
    async with aclosing(_present(storage, catalog)) as present:
        async for is_there in present:
            known += 1
            if is_there:
                return False
            if known == ENOUGH:
                break
    return known > 0


async def _present(storage: Storage, catalog: Catalog) -> AsyncGenerator[bool]:
    """For each upload of the catalog that has bytes, whether its file is there."""

    def is_there(upload: Upload) -> bool:
        file = storage.finished_file(upload.id, upload.suffix)
        return file.stat() is not None or not storage.vanished([upload.id])

    states = {State.COMPLETING, State.COMPLETE, *HOLDS_SPACE}
    async with aclosing(_with_bytes(catalog, states)) as pages:
        async for page in pages:
            for upload in page:
                yield await asyncio.to_thread(is_there, upload)


async def _with_bytes(catalog: Catalog, states: Collection[State]) -> AsyncGenerator[list[Upload]]:
    """Pages of the uploads that should have bytes in the storage."""
    async with aclosing(every_page(partial(catalog.uploads, states, None))) as pages:
        async for page in pages:
            known = [u for u in page if u.discarded_at is None and u.received.count]
            if known:
                yield known


async def _check_folders(settings: Settings) -> None:
    """Raises `FolderAway` where a folder is not that of the last run, without its uploads."""
    storage = LocalStorage(settings.data)
    names = await asyncio.to_thread(storage.unfamiliar)
    if not names or not has_catalog(settings):
        return
    catalog = await asyncio.to_thread(open_catalog, settings)
    try:
        for name in names:
            if await _is_emptied(storage, catalog, name):
                raise FolderAway(settings.data / name, _AWAY_AT_START)
    finally:
        await catalog.close()


async def _is_emptied(storage: LocalStorage, catalog: Catalog, name: str) -> bool:
    """Whether the catalog knows uploads with bytes in this folder, and none of them is there."""
    is_files = name == "files"
    states = {State.COMPLETING, State.COMPLETE} if is_files else HOLDS_SPACE
    is_one_known = False
    async with aclosing(_with_bytes(catalog, states)) as pages:
        async for page in pages:
            paths = [
                storage.finished_file(upload.id, upload.suffix).local_path
                if is_files
                else storage.unfinished_path(upload.id)
                for upload in page
                if (upload.is_named or upload.is_complete()) is is_files
            ]
            if await asyncio.to_thread(_is_any_there, paths):
                return False
            is_one_known = is_one_known or bool(paths)
    return is_one_known


def _is_any_there(paths: list[Path]) -> bool:
    return any(path.exists() for path in paths)
