"""What every verb stands on: storage, catalog, settings, the clock, threads.

Rule 1: whatever blocks runs on a thread, and a cancelled request waits until
its thread has returned. Nothing goes on writing behind a request that ended.

Rule 2: one line in the log for each change of state: `event key=value ...`.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from wherry.body import until_returned
from wherry.catalog import Catalog
from wherry.core.errors import DiskFull, StorageFailed, UploadError
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.settings import Settings
from wherry.storage import Storage, Vanished

log = logging.getLogger("wherry")

#: The request that is being served, as its answer's `X-Request-ID` names it.
request_id: ContextVar[str | None] = ContextVar("wherry_request_id", default=None)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Ground:
    """`clock` gives Unix seconds, `new_id` an identifier nobody can guess."""

    storage: Storage
    catalog: Catalog
    settings: Settings
    clock: Callable[[], float]
    new_id: Callable[[], str]

    async def on_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`call(...)` on a thread; disk errors come out as `DiskFull` or `StorageFailed`."""
        try:
            return await until_returned(lambda: call(*args, **kwargs))
        except OSError as error:
            raise as_upload_error(error) from error

    async def load(self, caller: Caller, upload_id: str) -> Upload:
        """The caller's own upload. Raises `UploadNotFound` for any other."""
        upload = await self.catalog.load(upload_id)
        upload.check_owner(caller)
        return upload

    async def vanished(self, upload_id: str, token: str | None = None) -> UploadError:
        """Record that the upload's folder was removed; what to raise then.

        `token`: of the completion that finds it so.
        """
        try:
            upload = await self.catalog.update(upload_id, lambda u: u.vanish(token))
            upload.check_exists()
        except UploadError as error:
            say("vanished", upload_id=upload_id)
            return error
        raise Vanished(upload_id)  # not reached: a vanished upload does not exist


def as_upload_error(error: OSError) -> UploadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull()
    log.error("storage-failed problem=%s", json.dumps(str(error)))
    return StorageFailed(error.strerror or type(error).__name__)


def say(event: str, upload: Upload | None = None, **facts: object) -> None:
    """One line in the log: logfmt, values with blanks in them as JSON strings."""
    if upload is not None:
        facts = {"upload_id": upload.id, "owner": upload.owner, "bytes": upload.limit} | facts
    if (current := request_id.get()) is not None:
        facts["request_id"] = current
    log.info("%s %s", event, " ".join(f"{k}={_plain(v)}" for k, v in facts.items()))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if text.isprintable() and not set(text) & set(' "=') else json.dumps(text)
