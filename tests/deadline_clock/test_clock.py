"""The deadline clock counts what was served, whatever happens to clocks and processes."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.deadline_clock import LONGEST_PAUSE, Beat, DeadlineClock

START = 1_000_000.0


@dataclass
class Machine:
    """Its steady clock, which begins anew when the machine does."""

    path: Path
    steady: float = 5000.0
    clocks: list[DeadlineClock] = field(default_factory=list)

    def process(self, newest: float | None = None, date: float = START) -> DeadlineClock:
        clock = DeadlineClock.open(self.path, lambda: self.steady)
        clock.start(newest, date)
        self.clocks.append(clock)
        return clock

    def serve(self, clock: DeadlineClock, seconds: int) -> None:
        for _ in range(seconds):
            self.steady += 1
            clock.beat()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "served.clock")


def test_it_begins_with_the_date_and_counts_what_is_served(machine: Machine) -> None:
    clock = machine.process()
    clock.beat()
    assert clock() == START
    machine.serve(clock, 100)
    machine.steady += 0.5
    assert clock() == START + 100.5


@pytest.mark.parametrize("steady", [5100.0 + 172800.0, 7.0])
def test_a_time_without_a_server_counts_for_next_to_nothing(
    machine: Machine, steady: float
) -> None:
    """Two days, or a restart of the machine."""
    first = machine.process()
    first.beat()
    machine.serve(first, 100)
    machine.steady = steady
    second = machine.process(date=START + 172800.0)
    assert START + 100 <= second() <= START + 100 + LONGEST_PAUSE
    begun = second()
    second.beat()
    machine.serve(second, 10)
    assert second() == begun + 10


def test_a_process_that_does_not_serve_sees_the_same_and_moves_nothing(machine: Machine) -> None:
    clock = machine.process()
    clock.beat()
    machine.serve(clock, 10)
    looks = DeadlineClock.open_to_read(machine.path, lambda: machine.steady)
    looks.start(START + 5, START)
    assert looks() == clock()
    looks.beat()
    machine.steady += 3600
    assert looks() == clock() == START + 10 + LONGEST_PAUSE
    assert machine.process()() == START + 10 + LONGEST_PAUSE


def test_a_process_that_was_stopped_takes_the_time_of_those_that_were_not(
    machine: Machine,
) -> None:
    stopped, other = machine.process(), machine.process()
    other.beat()
    stopped.beat()
    machine.serve(other, 60)
    assert stopped() == other() == START + 60
    stopped.beat()
    assert stopped() == other()


@pytest.mark.parametrize("data", [b"", b"\0" * 20, b"x" * 20, b"\x01" * 7])
def test_a_file_that_is_lost_or_torn_is_made_up_for_by_the_records(
    machine: Machine, data: bytes
) -> None:
    machine.path.write_bytes(data)
    assert machine.process(newest=START - 500, date=START)() == START - 500
    assert machine.process(newest=None, date=START)() == START
    assert DeadlineClock.open_to_read(machine.path.with_name("nowhere"))._beats.read() is None


def test_it_never_begins_before_what_is_recorded(machine: Machine) -> None:
    """After a power cut the file may be older than the records."""
    clock = machine.process()
    clock.beat()
    assert machine.process(newest=START + 30)() == START + 30
    assert machine.process(newest=START - 30)() == START


def test_a_full_disk_does_not_stop_it(machine: Machine) -> None:
    clock = machine.process()
    clock.beat()
    looks = DeadlineClock.open_to_read(machine.path, lambda: machine.steady)  # which cannot write
    looks.start(None, START)
    machine.serve(looks, 100)
    assert looks() == START + 100


def test_a_disk_without_room_for_the_file_keeps_nobody_from_starting(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    clock = machine.process(newest=START)
    monkeypatch.undo()
    machine.serve(clock, 50)
    assert clock() == START + 50
    assert not machine.path.exists()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["beat", "ask", "restart", "reboot"]),
            st.sampled_from([0.0, 0.25, 1.0, 5.0, 86400.0]),
        ),
        max_size=60,
    )
)
def test_it_never_goes_back_and_never_faster_than_time(
    tmp_path_factory: pytest.TempPathFactory, does: list[tuple[int, str, float]]
) -> None:
    machine = Machine(tmp_path_factory.mktemp("clock") / "served.clock")
    clocks = [machine.process() for _ in range(3)]
    clocks[0].beat()
    passed, last = 0.0, clocks[0]()
    for number, what, pause in does:
        machine.steady += pause
        passed += pause
        if what == "reboot":
            machine.steady = 0.0
            clocks = [machine.process(newest=last) for _ in range(3)]
            clocks[number].beat()  # as whoever serves does before anything else
        elif what == "restart":
            clocks[number] = machine.process(newest=last)
            clocks[number].beat()
        elif what == "beat":
            clocks[number].beat()
        now = clocks[number]()
        assert last <= now <= min(START + passed, last + LONGEST_PAUSE)
        last = now


def test_a_beat_is_read_as_it_was_written() -> None:
    beat = Beat(START + 0.123456, 98.7)
    assert Beat.parse(bytes(beat)) == beat
    for cut in range(20):
        assert Beat.parse(bytes(beat)[:cut]) is None
