"""The check of a file's type by its first bytes, and the refusal of a file.

Rule 1: the type that a client declares is never used for the check.

Rule 2: a refused file is deleted; the record says why.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import filetype

from wherry.core.errors import TypeRefused, UploadError
from wherry.core.media_types import recorded_type
from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.events import Event

#: Bytes by which a type is known; `filetype` looks no further.
HEAD = 8192
UNKNOWN = "application/octet-stream"


def media_type(head: bytes) -> str:
    """The media type that these first bytes show, `application/octet-stream` if none."""
    kind = filetype.guess(head) if head else None
    return kind.mime if kind else recorded_type(head) or UNKNOWN


class FileTypes:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._allowed = context.settings.allowed_types

    @property
    def is_checked(self) -> bool:
        return bool(self._allowed)

    async def check_type(self, upload: Upload) -> None:
        """Raises `TypeRefused` by the unfinished upload's first bytes, `Vanished`."""
        if not self._allowed:
            return
        self.check_head(await self._context.on_thread(self._context.storage.head, upload.id, HEAD))

    def check_head(self, head: bytes) -> None:
        """Raises `TypeRefused` by a file's first `HEAD` bytes."""
        if not self._allowed:
            return
        found = media_type(head)
        if not any(fnmatchcase(found, allowed) for allowed in self._allowed):
            raise TypeRefused(found, self._allowed)

    async def refuse(self, upload: Upload, error: UploadError, token: str | None = None) -> None:
        """Record the refusal, then delete the bytes. `token`: of the completion that refuses."""
        now = self._context.clock()
        upload = await self._context.catalog.update(
            upload.id, lambda u: u.fail(error.code, now, token)
        )
        # A crash here leaves a folder without a living upload: the sweep deletes it.
        await self._context.remove(upload)
        self._context.log_event(Event.FAILED, upload, code=error.code)
