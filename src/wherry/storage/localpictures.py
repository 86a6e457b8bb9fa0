"""What assessments draw, on a local disk: `root/assessments/<assessment_id>/<name>`.

Rule 1: a picture has its name when it is whole, so a reader never sees half of one.

Rule 2: a picture that is not found is missing only while the data folder is in its place
(folders.py). `assessments` itself may be a link to a folder elsewhere.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from shutil import rmtree

from wherry.storage.folders import Folders
from wherry.storage.localfile import LocalFile, sync_folder, write_whole
from wherry.storage.names import check_assessment_id, check_picture_name

_FOLDER = "assessments"


class LocalPictures:
    """Pictures in the root of `folders`; with `durable` False, nothing is synced."""

    def __init__(self, folders: Folders, durable: bool) -> None:
        self._folders = folders
        self._durable = durable

    def put(self, assessment_id: str, name: str, data: bytes) -> None:
        """Keep a picture, in place of one with the same name. Raises `OSError`."""
        path = self._path(assessment_id, name)
        self._folders.verify()
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._durable:
            # Also when the folders were there: the process that made them may have died before
            # this line.
            sync_folder(path.parent.parent)
            sync_folder(self._folders.root)
        # A crash in here leaves a copy under another name; `delete` removes it.
        write_whole(path, BytesIO(data), mode=0o644, durable=self._durable)

    def get(self, assessment_id: str, name: str) -> LocalFile:
        """The picture with this name."""
        path = self._path(assessment_id, name)

        def open_folder() -> int:
            self._folders.verify()
            return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)

        return LocalFile(path, open_folder)

    def delete(self, assessment_id: str) -> None:
        """Remove every picture of this assessment. Raises `OSError`."""
        folder = self._folder(assessment_id)
        self._folders.verify()
        with suppress(FileNotFoundError):
            rmtree(folder)

    def _folder(self, assessment_id: str) -> Path:
        return self._folders.root / _FOLDER / check_assessment_id(assessment_id)

    def _path(self, assessment_id: str, name: str) -> Path:
        return self._folder(assessment_id) / check_picture_name(name)
