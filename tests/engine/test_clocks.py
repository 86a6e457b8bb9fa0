"""Every deadline, against clocks that are set and servers that are away.

Each deadline is set up, then something happens to time, then it is as far away as before;
and once it has been served to its end, it is over.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import ALICE, Bytes, World, settings_in

from wherry.app.backends import open_catalog, open_locks, open_storage
from wherry.core.errors import Busy
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import State, Upload
from wherry.deadline_clock import LONGEST_PAUSE, DeadlineClock
from wherry.engine import Context, Engine
from wherry.engine.sweeping import ORPHAN_GRACE
from wherry.settings import Settings

pytestmark = pytest.mark.anyio

BOB = Caller("bob")
HOUR, DAY = 3600.0, 86400.0
DATA = b"x" * 100
#: What may be lost or won of a deadline by one outage, in seconds.
SLACK = 2 * LONGEST_PAUSE


@dataclass
class Machine:
    """A machine with its clocks, its disk, and a server that can be away."""

    folder: Path
    wall: float = 1_700_000_000.0
    steady: float = 4000.0
    ids: Any = field(default_factory=count)

    async def start(self, **changes: Any) -> None:
        limits = {"turn": 60.0, "slot_idle": 120.0, "expires_after": 1000.0}
        self.settings: Settings = settings_in(self.folder, **(limits | changes))
        self.storage = open_storage(self.settings)
        self.catalog = open_catalog(self.settings)
        await self.begin()

    async def restart(self) -> None:
        self.clock.close()
        await self.catalog.close()
        self.catalog = open_catalog(self.settings)
        await self.begin()

    async def begin(self) -> None:
        self.clock = DeadlineClock.open(self.folder / "served.clock", lambda: self.steady)
        self.clock.start(await self.catalog.newest(), self.wall)
        self.clock.beat()
        self.engine = Engine(
            Context(
                self.storage,
                self.catalog,
                open_locks(self.settings, self.storage),
                self.settings,
                clock=self.clock,
                calendar=lambda: self.wall,
                new_id=lambda: f"{next(self.ids):032d}",
            )
        )

    async def serve(self, seconds: float) -> None:
        """A server is there for so long, with nobody who asks."""
        for _ in range(int(seconds)):
            self.wall += 1
            self.steady += 1
            self.clock.beat()

    async def create(self, caller: Caller = ALICE) -> Upload:
        return (await self.engine.create(caller, Create("film.mp4", len(DATA))))[0]

    async def write(self, upload: Upload, data: bytes = DATA) -> None:
        await self.engine.write(Caller(upload.owner), Write(upload.id, 0), Bytes(data))

    async def state(self, upload: Upload) -> State:
        return (await self.catalog.load(upload.id)).state

    async def look_after(self) -> None:
        """What a server does each second and each minute."""
        await self.engine.advance()
        await self.engine._sweeping.tidy()


async def nothing(machine: Machine) -> None:
    """Time goes on as always."""


def set_by(seconds: float) -> Callable[[Machine], Awaitable[None]]:
    async def happens(machine: Machine) -> None:
        machine.wall += seconds

    return happens


def set_and_restarted(seconds: float) -> Callable[[Machine], Awaitable[None]]:
    async def happens(machine: Machine) -> None:
        machine.wall += seconds
        await machine.restart()

    return happens


async def outage(machine: Machine) -> None:
    machine.wall += 2 * DAY
    machine.steady += 2 * DAY
    await machine.restart()


async def reboot(machine: Machine) -> None:
    machine.wall += 2 * DAY
    machine.steady = 12.0
    await machine.restart()


async def lost_clock(machine: Machine) -> None:
    machine.wall += 2 * DAY
    machine.steady += 2 * DAY
    (machine.folder / "served.clock").unlink()
    await machine.restart()


async def stopped(machine: Machine) -> None:
    """The process, or the whole machine, stood still."""
    machine.wall += 2 * DAY
    machine.steady += 2 * DAY


EVENTS = {
    "nothing": nothing,
    "set back an hour": set_by(-HOUR),
    "set back two days": set_by(-2 * DAY),
    "set forward an hour": set_by(HOUR),
    "set forward two days": set_by(2 * DAY),
    "set back two days and restarted": set_and_restarted(-2 * DAY),
    "set forward two days and restarted": set_and_restarted(2 * DAY),
    "an outage of two days": outage,
    "a reboot after two days": reboot,
    "an outage in which the clock's file was lost": lost_clock,
    "stopped for two days": stopped,
}


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.clock.close()
    await machine.catalog.close()


@pytest.fixture(params=EVENTS)
def happens(request: pytest.FixtureRequest) -> Callable[[Machine], Awaitable[None]]:
    return EVENTS[request.param]


Happens = Callable[[Machine], Awaitable[None]]


async def test_a_turn(machine: Machine, happens: Happens) -> None:
    await machine.start(max_open=1)
    mine, next_ = await machine.create(), await machine.create(BOB)
    await machine.serve(40)
    await happens(machine)
    await machine.look_after()
    assert (await machine.state(mine), await machine.state(next_)) == (
        State.RECEIVING,
        State.WAITING,
    )
    await machine.serve(60 + SLACK)
    await machine.look_after()
    assert (await machine.state(mine), await machine.state(next_)) == (
        State.EXPIRED,
        State.RECEIVING,
    )


async def test_a_slot(machine: Machine, happens: Happens) -> None:
    await machine.start(max_open=1)
    mine = await machine.create()
    await machine.write(mine, b"x")
    next_ = await machine.create(BOB)
    await machine.serve(100)
    await happens(machine)
    await machine.look_after()
    assert await machine.state(next_) is State.WAITING
    await machine.serve(120 + SLACK)
    await machine.look_after()
    assert await machine.state(next_) is State.RECEIVING


async def test_the_expiry_of_an_upload_with_bytes(machine: Machine, happens: Happens) -> None:
    await machine.start()
    mine = await machine.create()
    await machine.write(mine, b"x")
    await machine.serve(900)
    await happens(machine)
    await machine.look_after()
    assert await machine.state(mine) is State.RECEIVING
    await machine.serve(1000 + SLACK)
    await machine.look_after()
    assert await machine.state(mine) is State.EXPIRED


async def test_the_expiry_of_one_that_waits(machine: Machine, happens: Happens) -> None:
    await machine.start(max_open=1, slot_idle=5000.0)
    first = await machine.create()
    await machine.write(first, b"x")
    mine = await machine.create(BOB)
    await machine.serve(900)
    await happens(machine)
    await machine.look_after()
    assert await machine.state(mine) is State.WAITING
    await machine.serve(1000 + SLACK)
    await machine.look_after()
    assert await machine.state(mine) is State.EXPIRED


async def test_the_lease_of_a_request(machine: Machine, happens: Happens) -> None:
    """One that a dead process left keeps its upload for as long as a byte would."""
    await machine.start()
    mine, now = await machine.create(), machine.clock()

    await machine.catalog.update(mine.id, lambda u: u.lease(Range(0, 10), "dead", now))
    await machine.serve(900)
    await happens(machine)
    await machine.look_after()
    assert await machine.state(mine) is State.RECEIVING
    await machine.serve(1120 + SLACK)
    await machine.look_after()
    assert await machine.state(mine) is State.EXPIRED


@pytest.mark.disk_only
async def test_a_finished_file(machine: Machine, happens: Happens) -> None:
    await machine.start(keep_files=1000.0, assessment=False)
    mine = await machine.create()
    await machine.write(mine)
    await machine.engine.complete(ALICE, mine.id)
    path = machine.folder / "files" / f"{mine.id}{mine.suffix}"
    await machine.serve(900)
    await happens(machine)
    await machine.look_after()
    assert path.exists()
    await machine.serve(1000 + SLACK)
    await machine.look_after()
    assert not path.exists()


async def test_the_record_of_what_ended(machine: Machine, happens: Happens) -> None:
    await machine.start(keep_records=1000.0)
    mine = await machine.create()
    await machine.engine.cancel(ALICE, mine.id)
    await machine.serve(900)
    await happens(machine)
    await machine.look_after()
    assert await machine.state(mine) is State.CANCELLED
    await machine.serve(1000 + SLACK)
    await machine.look_after()
    assert list(await machine.catalog.uploads()) == []


@pytest.mark.disk_only
async def test_a_folder_without_a_record(machine: Machine, happens: Happens) -> None:
    await machine.start()
    machine.storage.reserve("a" * 32, 10)
    place = machine.folder / "temp_chunks" / ("a" * 32) / "data"
    os.utime(place.parent, (machine.wall, machine.wall))
    await machine.look_after()
    await machine.serve(100)
    await happens(machine)
    await machine.look_after()
    assert place.exists()
    machine.wall += 3 * DAY  # however old it looks by now
    await machine.serve(ORPHAN_GRACE + SLACK)
    await machine.look_after()
    assert not place.exists()


async def test_a_completion(machine: Machine, happens: Happens) -> None:
    """Its process died: others may have it as soon as its lease is over, and not for ever later."""
    await machine.start(assessment=False)
    mine = await machine.create()
    await machine.write(mine)
    now = machine.clock()
    await machine.catalog.update(mine.id, lambda u: u.begin_completion("dead", now, now + 10.0))
    with pytest.raises(Busy):
        await machine.engine.cancel(ALICE, mine.id)
    await happens(machine)
    await machine.serve(10 + SLACK)
    assert (await machine.engine.complete(ALICE, mine.id)).is_complete()


async def test_a_client_reads_the_date_on_which_its_upload_expires(
    machine: Machine, happens: Happens
) -> None:
    await machine.start()
    mine = await machine.create()
    await machine.write(mine, b"x")
    await machine.serve(100)
    await happens(machine)
    upload = await machine.catalog.load(mine.id)
    at = machine.engine.date_of(upload.expires_at(machine.settings.expires_after))
    # Nothing that is served counts less than it did, and nothing else counts at all.
    left = 1000.0 if happens is lost_clock else 900.0
    assert abs(at - (machine.wall + left)) <= SLACK


async def test_a_deadline_further_ahead_than_its_setting_allows_is_over(world: World) -> None:
    """By a clock that was set back, and no other."""
    world.settings = settings_in(world.settings.data, max_open=1, assessment=False)
    engine = world.engine()
    mine, _ = await engine.create(ALICE, Create("film.mp4", len(DATA)))
    await engine.write(ALICE, Write(mine.id, 0), Bytes(DATA))
    until = world.now + 10.0
    await world.catalog.update(mine.id, lambda u: u.begin_completion("dead", world.now, until))
    world.now -= 2 * DAY
    await engine.sweep()
    assert (await engine.complete(ALICE, mine.id)).is_complete()
    other, _ = await engine.create(ALICE, Create("film.mp4", len(DATA)))
    await engine.write(ALICE, Write(other.id, 0), Bytes(DATA))
    until = world.now + 10.0
    await world.catalog.update(other.id, lambda u: u.begin_completion("dead", world.now, until))
    world.now -= 2 * DAY
    assert (await engine.cancel(ALICE, other.id)).state is State.CANCELLED
