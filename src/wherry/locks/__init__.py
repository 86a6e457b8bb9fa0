"""Locks: rights that end with their process.

A lease is a right that ends with its time, and the catalog keeps it. A lock has no time: it is
given back by its holder, or by the end of the holder's process, however that ends. By files, it
stays while the process is only stopped. By a database, a process that is stopped, or cut off from
the network, loses it after some seconds.

Rule 1: names are strings. `line` is one lock; `completing/4f1c` is the lock of one item
among any number of them, which leaves nothing behind.

Rule 2: `take` never waits, but it may block for as long as one call to the file system or
the database takes: call it on a thread. A lock is given back on any thread.

Rule 3: a lock belongs to its holder, not to the process: taking a name again that this
process holds already is refused like any other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Protocol


class Locks(Protocol):
    @property
    def locks_items(self) -> bool:
        """False where the system cannot lock items: then every caller gets each of them."""

    def take(self, name: str) -> AbstractContextManager[object] | None:
        """The lock `name`; None while another holder has it. It ends with its context.

        Raises `OSError`, and `ValueError` for a name that is none.
        """

    def holds(self, name: str) -> bool:
        """Whether the caller, who took this lock, has not lost it since. Does not block."""

    def close(self) -> None:
        """Give back every lock."""


def take_into(stack: ExitStack, locks: Locks, name: str) -> bool:
    """Take a lock that ends with `stack`. False while another holder has it.

    A caller that is cancelled while this runs on a thread never sees the lock, but its
    stack has it, and gives it back.
    """
    lock = locks.take(name)
    if lock is None:
        return False
    stack.enter_context(lock)
    return True
