"""Locks of the processes on one machine, by files.

    folder/line.lock          the lock `line`: the whole file
    folder/completing.lock    the locks `completing/…`: one byte for each item

Rule 1: the files stay. To remove one would let a second process lock a new file of that
name, while the first still holds the old one.

Rule 2: whole files are locked by `flock`, bytes by the locks of open file descriptions
(`F_OFD_SETLK`). Both end when the file is closed, also by the death of the process. The
locks of `fcntl` would not do: closing any descriptor of the file gives them back.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Self

from wherry.core.ranges import Range
from wherry.storage import disk

_NAME = re.compile(r"([a-z]+)(?:/(.+))?", re.DOTALL)


class FileLocks:
    """The locks of `folder`. `check()` raises `OSError` while the folder is away."""

    def __init__(
        self,
        folder: Path,
        check: Callable[[], None] = lambda: None,
        locks_items: bool = disk.LOCKS,
    ) -> None:
        self._folder = folder.absolute()
        self._check = check
        self.locks_items = locks_items

    def take(self, name: str) -> AbstractContextManager[object] | None:
        """The lock `name`; None while another holder has it. Raises `OSError`, `ValueError`."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is not the name of a lock")
        file, item = match.groups()
        if item is not None and not self.locks_items:
            return nullcontext()
        self._check()  # a file in another folder would be another lock
        return FileLock.take(self._folder / f"{file}.lock", None if item is None else _byte(item))

    def holds(self, name: str) -> bool:
        """Always: only its holder and the end of the process give a lock back."""
        return True

    def close(self) -> None:
        """Nothing is open but what holders have."""


def _byte(item: str) -> Range:
    """The byte that stands for an item: a file for each of them would have to be removed.

    Two items have the same byte once in 2^56 pairs. One of them then waits for the other.
    """
    at = int.from_bytes(sha256(item.encode()).digest()[:7])
    return Range(at, at + 1)


class FileLock:
    """A lock by an open file.

    A forked child inherits the open file, and the lock would live on in it when its parent
    has died. So a child closes what it inherits.
    """

    _held: ClassVar[set[FileLock]] = set()

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held.add(self)

    @classmethod
    def take(cls, path: Path, within: Range | None = None) -> Self | None:
        """None while another open file has it. Never waits. Raises `OSError`.

        `within`: only these bytes of the file; they need not exist.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if within is None:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            elif not disk.lock(fd, within):
                raise BlockingIOError
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        return cls(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The number of a descriptor is used again: only the first call may close it.
        if self in self._held:
            self._held.discard(self)
            os.close(self._fd)

    @classmethod
    def _forget(cls) -> None:
        for lock in cls._held:
            os.close(lock._fd)
        cls._held.clear()


os.register_at_fork(after_in_child=FileLock._forget)
