"""Processes on several machines share one deadline clock, in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from wherry.catalog.postgres import connections
from wherry.deadline_clock import LONGEST_PAUSE, DeadlineClock
from wherry.deadline_clock.postgres import PostgresBeats
from wherry.testing.postgres import Postgres

START = 1_000_000.0


@dataclass
class Machine:
    """Its steady clock has nothing in common with that of another machine."""

    url: str
    steady: float
    clocks: list[DeadlineClock] = field(default_factory=list)

    def process(self, newest: float | None = None, date: float = START) -> DeadlineClock:
        clock = DeadlineClock(PostgresBeats(self.url, lambda: self.steady), lambda: self.steady)
        clock.start(newest, date)
        self.clocks.append(clock)
        return clock

    def close(self) -> None:
        for clock in self.clocks:
            clock.close()


@pytest.fixture
def machine(database: str) -> Iterator[Callable[[float], Machine]]:
    engine = connections.open_engine(connections.parse_url(database), 1)
    connections.prepare_database(engine)
    engine.dispose()
    made: list[Machine] = []

    def make(steady: float) -> Machine:
        made.append(Machine(database, steady))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ago(url: str, seconds: float) -> None:
    """The last beat was so many seconds ago; negative: it is in the future."""
    with psycopg.connect(url) as session:
        session.execute(
            f"UPDATE {connections.SCHEMA}.beats SET at = clock_timestamp() - %s * interval '1 s'",
            (seconds,),
        )


def test_two_machines_show_the_same(machine: Callable[[float], Machine]) -> None:
    one, other = machine(5000.0), machine(7.0)
    first = one.process()
    first.beat()
    ago(one.url, 2.0)
    second = other.process(date=0.0)
    second.beat()
    assert START + 2 <= second() <= START + LONGEST_PAUSE
    first.beat()
    assert second() <= first() <= START + 2 * LONGEST_PAUSE


@pytest.mark.parametrize("seconds", [172800.0, -172800.0])
def test_a_time_without_a_server_or_a_clock_that_was_set_counts_for_next_to_nothing(
    machine: Callable[[float], Machine], seconds: float
) -> None:
    one = machine(5000.0)
    one.process().beat()
    ago(one.url, seconds)
    again = machine(1.0).process(date=START + 172800.0)
    assert START <= again() <= START + LONGEST_PAUSE
    again.beat()
    assert START <= again() <= START + 2 * LONGEST_PAUSE


def test_it_is_never_behind_the_newest_record(machine: Callable[[float], Machine]) -> None:
    one = machine(5000.0)
    one.process().beat()
    later = machine(1.0).process(newest=START + 500)
    assert later() == START + 500
    later.beat()
    first = one.clocks[0]
    first.beat()
    assert first() >= START + 500


def test_it_goes_on_while_the_database_is_away(
    machine: Callable[[float], Machine], postgres_server: Postgres
) -> None:
    one = machine(5000.0)
    clock = one.process()
    clock.beat()
    shown = clock()
    postgres_server.stop()
    try:
        for _ in range(10):
            one.steady += 1
            clock.beat()
        assert clock() == shown + 10
    finally:
        postgres_server.start()
    clock.beat()
    assert machine(1.0).process()() >= shown + 10


def test_without_the_database_there_is_no_clock(database: str) -> None:
    with pytest.raises(OSError, match="the database cannot be used"):
        PostgresBeats(f"{database}_missing")
