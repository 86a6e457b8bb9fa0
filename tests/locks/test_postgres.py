"""What only locks by a database promise: they end with the connection, and the holder knows."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from wherry.locks import Locks
from wherry.locks.postgres import LOST_AFTER, PostgresLocks
from wherry.testing.postgres import Postgres

#: How long anything may take on a busy machine, in seconds.
TIMEOUT = 120

HOLDER = """
import sys, time
from wherry.locks.postgres import PostgresLocks
locks = PostgresLocks(sys.argv[1])
with locks.take("leader"):
    print("taken", flush=True)
    while locks.holds("leader"):
        time.sleep(0.01)
    print("lost", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_holder(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock, and that prints `lost` when it knows that it has it no more."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_free(locks: Locks) -> bool:
    lock = locks.take("leader")
    if lock is None:
        return False
    with lock:
        return True


@pytest.fixture
def locks(database: str) -> Iterator[PostgresLocks]:
    with closing(PostgresLocks(database)) as locks:
        yield locks


def test_a_lock_ends_with_its_process(database: str, locks: PostgresLocks) -> None:
    with another_holder(database) as process:
        assert not is_free(locks)
        process.kill()
        process.wait(TIMEOUT)
        wait_until(lambda: is_free(locks))


def test_a_process_that_is_stopped_loses_its_lock_and_knows_it_when_it_wakes_up(
    database: str, locks: PostgresLocks
) -> None:
    with another_holder(database) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_free(locks))
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.readline() == "lost\n"


def test_a_holder_that_gets_no_answer_counts_its_lock_as_lost_before_others_can_have_it(
    locks: PostgresLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = locks.take("leader")
    assert lock is not None
    with lock:
        assert locks.holds("leader")
        later = time.monotonic() + LOST_AFTER
        monkeypatch.setattr("wherry.locks.postgres.time.monotonic", lambda: later)
        assert not locks.holds("leader")


def test_a_restart_of_the_database_takes_all_locks_and_new_ones_can_be_taken(
    postgres_server: Postgres, database: str, locks: PostgresLocks
) -> None:
    with closing(PostgresLocks(database)) as other:
        lock, idle = locks.take("leader"), other.take("line")
        assert lock is not None
        assert idle is not None
        with idle:
            pass
        with lock:
            postgres_server.restart()
            wait_until(lambda: not locks.holds("leader"))
            assert is_free(other)
            again = other.take("leader")
            assert again is not None
        # Leaving the context of the lock that was lost has not given back the other one's.
        with again:
            assert other.holds("leader")
            assert not is_free(locks)


def test_without_a_database_no_lock_is_taken(database: str) -> None:
    with (
        closing(PostgresLocks(f"{database}_missing")) as locks,
        pytest.raises(OSError, match="the database gives no locks"),
    ):
        locks.take("leader")


def test_locks_that_are_closed_are_given_back(database: str, locks: PostgresLocks) -> None:
    with closing(PostgresLocks(database)) as others:
        held = others.take("leader")
        assert held is not None
    wait_until(lambda: is_free(locks))
    with held, pytest.raises(OSError, match="closed"):
        others.take("leader")
