"""The data folder and the two folders in it, held open to tell "away" from "deleted".

Rule 1: each folder is held by a descriptor. As long as it is, the kernel gives its inode
number to no other folder. So device and inode say for certain whether a path still leads
to the folder that was opened, and a link count of 0 says that the folder was deleted.

Rule 2: what is inside is reached through the descriptor. A name that is not found there
is not in *this* folder; what lies at the same path by now says nothing.

Rule 3: a folder in the data folder that was deleted is made again. A folder that was
renamed, unmounted or covered by another is an error until it is back.

Rule 4: no descriptor outlives a process, so `folders.json` records which folders the last
one used. A start that finds another folder, or none, cannot know whether it was deleted:
`unfamiliar` names it, and `app`, which knows the uploads that should be in it, decides before
`make`.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from threading import RLock

from wherry.storage import disk

RECORD = "folders.json"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY


class FolderAway(OSError):
    """The path does not lead to the folder that Wherry opened: it is away, or is another one."""

    def __init__(self, path: Path, advice: str = "") -> None:
        sentence = (
            "the folder is away, or another one is in its place; nothing is deleted meanwhile"
        )
        super().__init__(errno.ESTALE, sentence + advice, str(path))


class Folders:
    """`root` and the folders `names` in it; with `durable` False, no name is synced."""

    def __init__(self, root: Path, names: tuple[str, ...], durable: bool) -> None:
        self.root = root
        self._names = names
        self._durable = durable
        self._lock = RLock()
        self._held: dict[str, int] = {}
        # While a folder is held, its inode's number is given to no other file.
        self._identity: dict[str, tuple[int, int]] = {}
        self._paths = {name: root / name for name in ("", *names)}
        self._recorded: dict[str, int] = {}
        # A replaced descriptor stays open: another thread may be about to use it.
        self._descriptors: list[int] = []
        weakref.finalize(self, _close_all, self._descriptors)

    def make(self) -> None:
        """Make what is not there yet, and hold it. Raises `OSError`."""
        with self._lock:
            if not self._held:
                self._make_path(self.root)
                self._hold("", os.open(self.root, _FOLDER))
            for name in self._names:
                if name not in self._held:
                    self._make(name)
        self.verify()

    def unfamiliar(self) -> list[str]:
        """The names of the folders not held yet that are missing, or not those of the last run.

        Raises `OSError`, also for a record that cannot be read.
        """
        with self._lock:
            recorded = self._read_record()
            return [
                name
                for name in self._names
                if name in recorded
                and name not in self._held
                and recorded[name] != _inode(self.root / name)
            ]

    def at(self, name: str) -> int:
        """The descriptor of this folder, `""` for the root. Raises `OSError`."""
        with self._lock:
            if name not in self._held:
                # `make` was not called: the folder that is there is used, and none is made.
                above = self.at("") if name else None
                if name in self.unfamiliar():
                    raise FolderAway(self.root / name)
                self._hold(name, os.open(name or self.root, _FOLDER, dir_fd=above))
            return self._held[name]

    def verify(self) -> None:
        """Raises `FolderAway` unless each path leads to the folder that is held."""
        with self._lock:
            self.at("")
            if not self._leads_to(""):
                raise FolderAway(self.root)
            for name in self._names:
                held = self.at(name)
                if self._leads_to(name):
                    continue
                if os.fstat(held).st_nlink:
                    raise FolderAway(self.root / name)
                self._make(name)
                if self._recorded:
                    self.record()

    def _leads_to(self, name: str) -> bool:
        try:
            there = self._paths[name].stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (there.st_dev, there.st_ino) == self._identity[name]

    def _make(self, name: str) -> None:
        root = self.at("")
        with suppress(FileExistsError):  # made by another process, or a link to a folder
            os.mkdir(name, 0o700, dir_fd=root)
        # Also when it was there: the process that made it may have died before this line.
        self._sync(root)
        self._hold(name, os.open(name, _FOLDER, dir_fd=root))

    def _read_record(self) -> dict[str, int]:
        """The inodes of the folders by name; empty where none is recorded."""
        path = self.root / RECORD
        try:
            recorded = json.loads(path.read_bytes())
            return {str(name): int(inode) for name, inode in recorded.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError):
            sentence = f"cannot be read. Delete it if {' and '.join(self._names)} are in place"
            raise OSError(errno.EINVAL, sentence, str(path)) from None

    def record(self) -> None:
        """Record that these are the folders, from now on. Raises `OSError`."""
        # Not the device: its number may be another one after each start of the machine.
        now = {name: os.fstat(self.at(name)).st_ino for name in self._names}
        if now == self._recorded:
            return
        path = self.root / RECORD
        try:
            if now != self._read_record():
                self._replace(path, json.dumps(now).encode())
        except OSError as error:
            if error.errno not in disk.FULL:
                raise
            # What an older record says is wrong by now, and would refuse the next start.
            path.unlink(missing_ok=True)
        else:
            self._recorded = now

    def _replace(self, path: Path, content: bytes) -> None:
        # A name of its own: other processes, and threads, may be here too.
        fd, beside = tempfile.mkstemp(dir=self.root, prefix=f"{path.stem}-", suffix=".tmp")
        try:
            os.write(fd, content)
            self._sync(fd)
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink()
            raise
        finally:
            os.close(fd)
        self._sync(self.at(""))

    def _hold(self, name: str, fd: int) -> None:
        there = os.fstat(fd)
        self._identity[name] = there.st_dev, there.st_ino
        self._held[name] = fd
        self._descriptors.append(fd)

    def _sync(self, fd: int) -> None:
        if self._durable:
            disk.sync_file(fd)

    def _make_path(self, path: Path) -> None:
        """Make it and what lies above it, for this user alone, and sync its name."""
        if not path.parent.is_dir():
            self._make_path(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        # Also when it was there: the process that made it may have died before this line.
        fd = os.open(path.parent, _FOLDER)
        try:
            self._sync(fd)
        finally:
            os.close(fd)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None


def _close_all(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)
