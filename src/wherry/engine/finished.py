"""A finished file as the hooks of the application get it.

Rule 1: this is public. `path` is the only way to the file that local storage alone has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from wherry.core.upload import Upload
from wherry.storage import StoredFile
from wherry.storage.localfile import LocalFile

#: How long an address of a file works, in seconds.
URL_LIFETIME = 3600


@dataclass(frozen=True, slots=True, init=False)
class FinishedFile:
    """A file that is all there. `size` in bytes; `digest` as in RFC 9530, crc64nvme.

    `ticket_id`: of the guest who has sent it, for `owner`; None: that was the owner.

    `open` and `download` work with every storage, `path` with local storage only, `url` with an
    object store only. `open` and `download` block: a coroutine function calls them on a thread.

    `on_complete` may move the file at `path`. If it is called again after a crash, it may
    find the file gone, because it has moved it itself.

    To call a hook in a test of your own, make one of the path of any file.
    """

    id: str
    stored: StoredFile = field(repr=False)
    filename: str
    content_type: str | None
    size: int
    owner: str
    metadata: Mapping[str, str]
    digest: str
    ticket_id: str | None

    def __init__(  # noqa: PLR0917 - one for each field
        self,
        id: str,  # noqa: A002 - the name of the public field
        path: Path | StoredFile,
        filename: str,
        content_type: str | None,
        size: int,
        owner: str,
        metadata: Mapping[str, str],
        digest: str,
        ticket_id: str | None = None,
    ) -> None:
        given = {
            "id": id,
            "stored": LocalFile.at(path) if isinstance(path, Path) else path,
            "filename": filename,
            "content_type": content_type,
            "size": size,
            "owner": owner,
            "metadata": metadata,
            "digest": digest,
            "ticket_id": ticket_id,
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen

    @property
    def path(self) -> Path:
        """Where the file is on this machine. Raises `NoLocalPath` for remote storage."""
        if (path := self.stored.local_path) is None:
            raise NoLocalPath(self.id)
        return path

    @property
    def url(self) -> str:
        """An address of the file in the object store, for anyone, for `URL_LIFETIME` seconds.

        A browser saves it under `filename`. Raises `NoUrl` for local storage, and `OSError` if
        there are no credentials to sign it with.
        """
        content_type = self.content_type or "application/octet-stream"
        if (url := self.stored.url(URL_LIFETIME, self.filename, content_type)) is None:
            raise NoUrl(self.id)
        return url

    def open(self) -> BinaryIO:
        """The file from its beginning, for reading and seeking. Close it.

        Raises `FileNotFoundError` if the file is gone, other `OSError`s.
        """
        return self.stored.open()

    def download(self, to: Path | str) -> Path:
        """Copy the file to `to` on this machine, in place of what is there; returns that path.

        `to` appears when it is whole and safe: a crash or an error leaves no half of it.
        Raises `FileNotFoundError` if the file is gone, other `OSError`s.
        """
        target = Path(to)
        self.stored.download(target)
        return target


def finished_file(upload: Upload, stored: StoredFile) -> FinishedFile:
    """The file of this upload, all of whose bytes are in `stored`."""
    return FinishedFile(
        id=upload.id,
        path=stored,
        filename=upload.filename,
        content_type=upload.content_type,
        size=upload.received.size,
        owner=upload.owner,
        metadata=upload.metadata,
        digest=str(upload.received_digest),
        ticket_id=upload.ticket_id,
    )


class NoUrl(Exception):
    """`FinishedFile.url` of a file that is on this machine."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"the file of upload {upload_id} has no URL, because the storage is a disk; use path, "
            "open() or download(to), or let clients get it from /files"
        )


class NoLocalPath(Exception):
    """`FinishedFile.path` of a file that is not on this machine."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"the file of upload {upload_id} has no path, because the storage is not on this "
            "machine; use open(), download(to) or url"
        )
