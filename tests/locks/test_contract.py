"""All locks keep what locks promise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from wherry.locks import Locks
from wherry.locks.files import FileLocks
from wherry.locks.postgres import PostgresLocks
from wherry.testing.locks import CHECKS, Check, check_locks
from wherry.testing.memory.locks import MemoryLocks

MAKERS: dict[str, Callable[[Path], Locks]] = {
    "files": FileLocks,
    "files-without-items": lambda folder: FileLocks(folder, locks_items=False),
    "memory": lambda _: MemoryLocks(),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_promise(check: Check, make: Callable[[Path], Locks], tmp_path: Path) -> None:
    check(make(tmp_path))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_promise_of_a_database(check: Check, database: str) -> None:
    with closing(PostgresLocks(database)) as locks:
        check(locks)


def test_every_promise_at_once(tmp_path: Path) -> None:
    numbers = count()

    def make() -> Locks:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return FileLocks(folder)

    check_locks(make)


def test_locks_that_every_caller_gets_fail_the_checks() -> None:
    class Generous(MemoryLocks):
        def take(self, name: str) -> object:  # type: ignore[override]
            return MemoryLocks().take(name)

    with pytest.raises(AssertionError):
        check_locks(Generous)  # type: ignore[arg-type]
