"""Which catalog the files in a data folder belong to, as a file beside them."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from wherry.core.installation import NAME, Installation
from wherry.storage.localfile import sync_folder, write_whole


class LocalInstallation:
    """The record in the folder `root`. With `durable` False, nothing is synced."""

    def __init__(self, root: Path, durable: bool) -> None:
        self._path = root / NAME
        self._durable = durable

    def read(self) -> Installation | None:
        """None: the files belong to no catalog yet. Raises `OSError`, `ValueError`."""
        try:
            return Installation.parse(self._path.read_bytes())
        except FileNotFoundError:
            return None

    def write(self, installation: Installation, *, replace: bool = False) -> None:
        """Record it, unless there is a record; with `replace`, in any case. Raises `OSError`."""
        source = BytesIO(installation.encode())
        if replace:
            write_whole(self._path, source, durable=self._durable)
            return
        # A rename would take the place of what another process has just written.
        beside = self._path.with_name(f".{NAME}-{installation.storage}")
        write_whole(beside, source, durable=self._durable)
        with suppress(FileExistsError):
            os.link(beside, self._path)
        beside.unlink()
        if self._durable:
            sync_folder(self._path.parent)
