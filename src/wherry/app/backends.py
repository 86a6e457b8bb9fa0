"""The backends that the settings choose, opened.

Only the backend that is opened is loaded, with its libraries.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wherry.catalog import Catalog
from wherry.core.place import Place
from wherry.core.webhooks import Outbox
from wherry.deadline_clock import DeadlineClock
from wherry.locks import Locks
from wherry.locks.files import FileLocks
from wherry.settings import Settings
from wherry.storage import Storage
from wherry.storage.local import LocalStorage
from wherry.threads import wait_on_more_threads

if TYPE_CHECKING:
    from wherry.storage.s3.storage import S3Storage

log = logging.getLogger("wherry")

#: What the catalog is called after its records were moved to a database.
MOVED = "catalog.sqlite-moved"


def new_id() -> str:
    """128 random bits, in 32 characters that need no quoting anywhere."""
    return secrets.token_hex(16)


def open_storage(settings: Settings) -> Storage:
    """The storage that the settings name. Raises `OSError` with the reason if it is of no use."""
    storage = unchecked_storage(settings)
    for warning in storage.check():
        log.warning(warning)
    if isinstance(storage, LocalStorage):
        storage.record_folders()
    else:
        wait_on_more_threads()
        settings.data.mkdir(parents=True, exist_ok=True)  # for all that is not a file of a client
    return storage


def unchecked_storage(settings: Settings) -> LocalStorage | S3Storage:
    """The same, for a process that only reads. Raises `OSError` without credentials."""
    if settings.storage is None:
        return LocalStorage(settings.data, durable=settings.durability == "power-loss")
    if find_spec("botocore") is None:
        sentence = "storage in S3 needs more packages: pip install 'wherry[s3]'"
        raise ModuleNotFoundError(sentence, name="botocore")
    from wherry.storage.s3.storage import S3Storage  # noqa: PLC0415

    endpoint, profile = settings.s3_endpoint, settings.s3_profile
    return S3Storage(
        _client(endpoint, profile),
        Place.parse(settings.storage),
        public=_client(settings.s3_public_endpoint or endpoint, profile),
        is_direct=settings.direct_uploads,
        expires_after=settings.expires_after,
    )


def store_origin(settings: Settings) -> str | None:
    """The origin to which clients may send parts themselves; None: to none.

    Raises `OSError` without credentials.
    """
    storage = unchecked_storage(settings) if settings.direct_uploads else None
    return None if storage is None or isinstance(storage, LocalStorage) else storage.bucket.origin()


@cache
def _client(endpoint: str | None, profile: str | None) -> Any:
    """One for each process and endpoint: a client takes 14 MB of memory."""
    from wherry.storage.s3.connecting import connect  # noqa: PLC0415

    return connect(endpoint, profile)


# Its connections would be shared with the parent.
os.register_at_fork(after_in_child=_client.cache_clear)


def has_catalog(settings: Settings) -> bool:
    return settings.database is not None or catalog_file(settings).exists()


def check_catalog(settings: Settings) -> None:
    """Raises `OSError` if there are uploads, but no catalog, or another one."""
    path = catalog_file(settings)
    if settings.database is not None:
        if path.exists():
            sentence = (
                "the records of this data folder are in this file, and the setting `database` "
                "names another place. Move them there with: wherry migrate --from sqlite. To do "
                "without them, move the file away"
            )
            raise FileExistsError(errno.EEXIST, sentence, str(path))
        return
    if (moved := path.with_name(MOVED)).exists():
        sentence = (
            "the records of this data folder were moved to a database. Name it with the setting "
            "`database`. To go back to the old records, rename this file to catalog.sqlite"
        )
        raise FileNotFoundError(errno.ENOENT, sentence, str(moved))
    folders = [settings.data / name for name in ("temp_chunks", "files")]
    if not path.exists() and any(f.is_dir() and any(f.iterdir()) for f in folders):
        sentence = (
            "the catalog is missing, but there are uploads in temp_chunks or files. Restore the "
            "catalog, for example from a backup. A new catalog would not know these uploads, and "
            "unfinished ones would be deleted after an hour. To start with an empty catalog, move "
            "both folders away first"
        )
        raise FileNotFoundError(errno.ENOENT, sentence, str(path))


def open_locks(settings: Settings, storage: Storage) -> Locks:
    """The locks of all processes that share the storage.

    By files in the data folder; none is taken while the folder is away. Where neither the records
    nor the bytes are in that folder, by the database.
    """
    if isinstance(storage, LocalStorage):
        return FileLocks(settings.data, storage.present, storage.capabilities.locks_ranges)
    if settings.database is None:
        return FileLocks(settings.data)
    from wherry.locks.postgres import PostgresLocks  # noqa: PLC0415

    return PostgresLocks(settings.database)


def open_catalog(settings: Settings) -> Catalog:
    """The catalog, which records the webhooks of the settings. Blocks.

    Raises `OSError` as `check_catalog` does, and as the catalog does.
    """
    catalog = _open_catalog(settings)
    if settings.webhook_url:
        catalog.announce_to(Outbox(settings.webhook_url, time.time, new_id))
    return catalog


def _open_catalog(settings: Settings) -> Catalog:
    if settings.database is not None:
        if find_spec("psycopg") is None:
            sentence = "PostgreSQL needs one more package: pip install 'wherry[postgres]'"
            raise ModuleNotFoundError(sentence, name="psycopg")
        from wherry.catalog.postgres.catalog import PostgresCatalog  # noqa: PLC0415

        return PostgresCatalog(settings.database)
    path = catalog_file(settings)
    # Asked first: a catalog that is moved to a database from here on is not replaced by a new one.
    is_new = not path.exists()
    check_catalog(settings)
    if is_new:
        if settings.storage is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its log the same mode
    from wherry.catalog.sqlite.catalog import SqliteCatalog  # noqa: PLC0415

    return SqliteCatalog(path, may_create=is_new)


def open_clock(settings: Settings, is_served: bool) -> DeadlineClock:
    """The deadline clock of all processes that share the catalog, which is open. Blocks.

    `is_served`: whether this process will beat. Raises `OSError`.
    """
    if settings.database is not None:
        from wherry.deadline_clock.postgres import PostgresBeats  # noqa: PLC0415

        return DeadlineClock(PostgresBeats(settings.database))
    opened = DeadlineClock.open if is_served else DeadlineClock.open_to_read
    return opened(settings.data / "served.clock")


def catalog_file(settings: Settings) -> Path:
    """The catalog in the data folder, where the settings name no database."""
    return settings.data / "catalog.sqlite"


def open_lease_clock(settings: Settings) -> Callable[[], float]:
    """The clock of the leases of all workers that share the catalog."""
    if settings.database is None:
        return time.monotonic
    from wherry.catalog.postgres.clock import DatabaseClock  # noqa: PLC0415

    return DatabaseClock(settings.database)
