"""Locks in memory. The engines that share one object exclude each other, as processes do."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from threading import Lock


class MemoryLocks:
    locks_items = True

    def __init__(self) -> None:
        self._changing = Lock()
        self._held: set[str] = set()

    def take(self, name: str) -> AbstractContextManager[object] | None:
        """The lock `name`; None while another holder has it. Raises `ValueError`."""
        if not name:
            raise ValueError("'' is not the name of a lock")
        with self._changing:
            if name in self._held:
                return None
            self._held.add(name)
        stack = ExitStack()
        stack.callback(self._held.discard, name)
        return stack

    def holds(self, name: str) -> bool:
        """Whether somebody has this lock."""
        return name in self._held

    def close(self) -> None:
        """Give back every lock."""
        self._held.clear()
