"""Which files `wherry upload` sends, from what was written behind it.

Rule 1: a name of nothing counts as a file, so that the others are sent although it is not there.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STDIN = Path("-")
#: Of what comes by stdin, so much is kept in memory; more goes into a temporary file (bytes).
IN_MEMORY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file to send. `within`: its path from the chosen folder on; None: it was named itself."""

    path: Path
    within: str | None = None

    @property
    def is_stdin(self) -> bool:
        return self.path == STDIN

    def open(self) -> Path | BinaryIO:
        """What the client sends. Blocks until stdin has ended, because a part may be sent again.

        The caller closes a file object.
        """
        return _all_of_stdin() if self.is_stdin else self.path


def choose(given: list[Path], *, recursive: bool) -> Iterator[Chosen]:
    """The files of these names, patterns (`*.mp4`) and folders. Blocks.

    Raises `IsADirectoryError` for a folder if not `recursive`, and `FileNotFoundError` for one that
    holds no file.
    """
    for path in given:
        if path == STDIN:
            yield Chosen(path)
        elif path.is_dir():
            yield from _in_folder(path, recursive)
        elif not path.exists() and (found := _matching(path, recursive)):
            yield from choose([Path(name) for name in found], recursive=recursive)
        else:
            yield Chosen(path)


def _matching(pattern: Path, recursive: bool) -> list[str]:
    """Shells do this themselves, but for that of Windows."""
    return sorted(glob.glob(str(pattern), recursive=recursive))  # noqa: PTH207 - may be absolute


def _in_folder(folder: Path, recursive: bool) -> Iterator[Chosen]:
    if not recursive:
        raise IsADirectoryError(f"{folder} is a folder; --recursive sends the files in it")
    is_empty = True
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            is_empty = False
            path = Path(place, name)
            yield Chosen(path, str(Path(folder.resolve().name, path.relative_to(folder))))
    if is_empty:
        raise FileNotFoundError(f"{folder} holds no file")


def _all_of_stdin() -> BinaryIO:
    kept = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(sys.stdin.buffer, kept)
    kept.seek(0)
    return kept  # type: ignore[return-value]  # it is one, for all that the client does
