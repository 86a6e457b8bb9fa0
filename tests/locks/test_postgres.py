"""What only locks by a database promise: they end with the connection, and the holder knows."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from threading import Event, Thread

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


@contextmanager
def relay(port: int) -> Iterator[tuple[int, Event]]:
    """The port of a way to `port`, and what cuts it: nothing passes then, and nothing ends."""
    cut, opened = Event(), list[socket.socket]()

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while (data := source.recv(1 << 16)) and not cut.is_set():
                target.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                here, _ = opened[0].accept()
                there = socket.create_connection(("127.0.0.1", port))
                opened.extend((here, there))
                for pair in ((here, there), (there, here)):
                    Thread(target=pass_on, args=pair, daemon=True).start()

    opened.append(socket.create_server(("127.0.0.1", 0)))
    Thread(target=accept, daemon=True).start()
    try:
        yield opened[0].getsockname()[1], cut
    finally:
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


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


def test_a_holder_that_is_cut_off_knows_that_its_lock_is_lost_once_another_one_can_take_it(
    postgres_server: Postgres, database: str, locks: PostgresLocks
) -> None:
    with ExitStack() as afterwards, relay(postgres_server.port) as (port, cut):
        url = database.replace(f":{postgres_server.port}/", f":{port}/")
        holder = afterwards.enter_context(closing(PostgresLocks(url)))
        assert holder.take("leader") is not None
        assert holder.holds("leader")
        cut.set()
        wait_until(lambda: is_free(locks))
        assert not holder.holds("leader")


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
