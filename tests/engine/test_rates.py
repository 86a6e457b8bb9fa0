"""How much one owner may ask for in a time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, World, created, written

from wherry.core.errors import DiskFull, NeverFits, RateLimited, StorageFailed, UploadError
from wherry.core.requests import Caller, Create, Write
from wherry.engine import Engine, shared_counts
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT

pytestmark = pytest.mark.anyio

Spending = Callable[[str], subprocess.Popen[str]]
BOB = Caller("bob")
DATA = bytes(range(200)) * 5


def limited(world: World, **rates: Any) -> Engine:
    """An engine with these rates."""
    given = world.settings.model_dump() | rates
    world.settings = type(world.settings)(**given)
    return world.engine()


async def begin(engine: Engine, caller: Caller = ALICE, **more: Any) -> str:
    upload, _ = await engine.create(caller, Create("film.mp4", len(DATA), **more))
    return upload.id


async def receive(engine: Engine, key: str | None = None) -> str:
    body = Bytes(DATA)
    upload = await engine.receive(ALICE, Create("film.mp4", len(DATA)), body, key=key)
    return upload.id


async def test_uploads_over_the_rate_are_refused_and_those_of_others_are_not(
    world: World,
) -> None:
    engine = limited(world, rate_uploads="3/day")
    await begin(engine)
    await begin(engine)
    await receive(engine)
    for over in (begin, receive):
        with pytest.raises(RateLimited) as refused:
            await over(engine)
        error = refused.value
        assert (error.kind, error.rate, error.retry_after) == ("uploads", "3/day", 24 * 3600 // 3)
    await begin(engine, BOB)


async def test_resuming_an_upload_and_repeating_a_request_are_free(world: World) -> None:
    engine = limited(world, rate_uploads="2/day")
    first = await begin(engine, fingerprint="one")
    assert await begin(engine, fingerprint="one") == first
    second = await receive(engine, key="two")
    assert await begin(engine, fingerprint="one") == first
    repeated = await engine.repeated(ALICE, "two")
    assert repeated is not None
    assert repeated.id == second
    with pytest.raises(RateLimited):
        await begin(engine, fingerprint="other")


async def test_an_upload_that_is_refused_does_not_count(world: World) -> None:
    engine = limited(world, rate_uploads="1/day", max_reserved=2 * len(DATA))
    for _ in range(3):
        with pytest.raises(NeverFits):
            await engine.create(ALICE, Create("film.mp4", 1 << 50))
    await begin(engine)


async def test_uploads_that_begin_at_the_same_time_are_counted_exactly(world: World) -> None:
    engine = limited(world, rate_uploads="4/day")
    begun, refused = list[str](), list[str]()

    async def one() -> None:
        try:
            begun.append(await begin(engine))
        except RateLimited as error:
            refused.append(error.code)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(one)
    # One that was being created when another was refused may be refused for its sake; no more.
    assert len(begun) == 4
    assert len(refused) == 6


async def test_bytes_over_the_rate_are_refused_before_one_is_read(world: World) -> None:
    engine = limited(world, rate_bytes="1500/hour")
    upload = await created(engine, 2 * len(DATA))
    await written(engine, upload, 0, DATA)
    body = Bytes(DATA)
    with pytest.raises(RateLimited) as refused:
        await engine.write(ALICE, Write(upload.id, len(DATA)), body)
    assert (refused.value.kind, refused.value.retry_after) == ("bytes", 500 * 3600 // 1500)
    assert body.remaining == len(DATA)
    assert (await engine.status(ALICE, upload.id)).offset == len(DATA)
    await written(engine, upload, len(DATA), DATA[:500])  # what is left of the rate


async def test_a_body_that_is_longer_than_the_rate_passes_as_the_only_one(world: World) -> None:
    engine = limited(world, rate_bytes="600/hour")
    upload = await created(engine, len(DATA))
    assert (await written(engine, upload, 0, DATA)).offset == len(DATA)
    with pytest.raises(RateLimited):
        await receive(engine)


async def test_requests_are_counted_by_owner(world: World) -> None:
    engine = limited(world, rate_requests="2/minute")
    for _ in range(2):
        await engine.check_rate(ALICE)
    with pytest.raises(RateLimited) as refused:
        await engine.check_rate(ALICE)
    assert (refused.value.kind, refused.value.retry_after) == ("requests", 30)
    await engine.check_rate(BOB)


async def test_what_is_used_up_comes_back_little_by_little(world: World) -> None:
    engine = limited(world, rate_requests="6/minute")
    world.now = 6_000_000.0
    assert await spent(engine) == 6
    world.now += 59
    assert await spent(engine) == 0
    world.now += 1 + 30  # half of the next period is over
    assert await spent(engine) == 3
    world.now += 60 + 60
    assert await spent(engine) == 6


async def spent(engine: Engine, caller: Caller = ALICE) -> int:
    """How many requests are free."""
    for free in count():
        try:
            await engine.check_rate(caller)
        except RateLimited:
            return free
    raise AssertionError


async def test_processes_share_each_rate(world: World) -> None:
    one = limited(world, rate_uploads="3/day", rate_bytes="1500/hour", rate_requests="100/minute")
    other = world.engine()
    await begin(one)
    await begin(other)
    await receive(one)
    with pytest.raises(RateLimited):
        await begin(other)
    with pytest.raises(RateLimited):  # 1000 of 1500 are used by the other one
        await other.write(ALICE, Write("any", 0), Bytes(DATA))
    for engine in (one, other):
        for _ in range(30):
            await engine.check_rate(ALICE)
    free = await spent(one)
    assert 38 <= free <= 40  # the other one has taken up to a 50th in advance
    assert free + await spent(other) == 40
    await begin(other, BOB)


async def test_a_restart_resets_no_rate(world: World) -> None:
    assert await spent(limited(world, rate_requests="40/hour")) == 40
    assert await spent(world.engine()) == 0


async def test_an_upload_that_one_process_cannot_create_another_one_may(world: World) -> None:
    one = limited(world, rate_uploads="1/day", max_reserved=2 * len(DATA))
    for _ in range(3):
        with pytest.raises(NeverFits):
            await one.create(ALICE, Create("film.mp4", 1 << 50))
    await begin(world.engine())
    with pytest.raises(RateLimited):
        await begin(one)


class Counting:
    """A catalog that counts how often it is asked for a rate, and fails when told so."""

    def __init__(self, catalog: Any) -> None:
        self._catalog = catalog
        self.asked = 0
        self.fails: BaseException | None = None
        self.hangs = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def update_rate(self, *given: Any) -> Any:
        self.asked += 1
        if self.hangs:
            await anyio.sleep_forever()
        if self.fails is not None:
            raise self.fails
        return await self._catalog.update_rate(*given)


async def test_few_requests_ask_the_catalog(world: World) -> None:
    limited(world, rate_requests="5000/day")
    catalog: Any = Counting(world.catalog)
    engine = world.engine(catalog=catalog)
    for _ in range(1000):
        await engine.check_rate(ALICE)
    # Alone, then with as many in advance as before, until a 50th of the rate: 100.
    assert catalog.asked <= 8 + 10


async def test_requests_at_the_same_time_ask_the_catalog_once(world: World) -> None:
    limited(world, rate_requests="5000/day")
    catalog: Any = Counting(world.catalog)
    engine = world.engine(catalog=catalog)
    for _ in range(100):
        await engine.check_rate(ALICE)
    before = catalog.asked
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(engine.check_rate, ALICE)
    assert catalog.asked - before <= 2


async def test_an_owner_who_is_refused_again_and_again_rarely_asks_the_catalog(
    world: World,
) -> None:
    limited(world, rate_requests="10/hour")
    catalog: Any = Counting(world.catalog)
    engine = world.engine(catalog=catalog)
    assert await spent(engine) == 10
    before = catalog.asked
    for _ in range(100):
        assert await spent(engine) == 0
    assert catalog.asked == before
    world.now += 1
    for _ in range(100):
        assert await spent(engine) == 0
    assert catalog.asked == before + 1


@pytest.mark.parametrize("fails", [StorageFailed("away"), DiskFull(), None])
async def test_while_the_catalog_cannot_count_a_process_counts_by_itself(
    world: World,
    fails: UploadError | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limited(world, rate_requests="3/day", rate_uploads="1/day", max_reserved=2 * len(DATA))
    monkeypatch.setattr(shared_counts, "PATIENCE", 60.0)
    monkeypatch.setattr(shared_counts, "PAUSE", 600.0)
    catalog: Any = Counting(world.catalog)
    engine = world.engine(catalog=catalog)
    await engine.check_rate(ALICE)
    if fails is None:
        monkeypatch.setattr(shared_counts, "PATIENCE", 0.01)
    catalog.fails, catalog.hangs = fails, fails is None
    assert await spent(engine) == 3
    for _ in range(3):
        with pytest.raises(NeverFits):
            await engine.create(ALICE, Create("film.mp4", 1 << 50))
    await begin(engine)
    with pytest.raises(RateLimited):
        await begin(engine)
    assert catalog.asked == 2, "it is left alone for some seconds"
    assert [each for each in caplog.messages if "rates-not-shared" in each]
    catalog.fails, catalog.hangs = None, False
    monkeypatch.setattr(shared_counts, "PATIENCE", 60.0)
    monkeypatch.setattr(engine._rates._counts, "_away_until", 0.0)
    assert await spent(engine) == 2  # of those, the catalog knows one


@pytest.mark.sqlite_only
async def test_what_is_used_is_forgotten_when_it_does_not_count_any_more(world: World) -> None:
    engine = limited(world, rate_requests="3/minute")
    for number in range(5):
        await engine.check_rate(Caller(f"owner-{number}"))

    def counts() -> int:
        with sqlite3.connect(world.settings.data / "catalog.sqlite") as connection:
            [(found,)] = connection.execute("SELECT count(*) FROM rates").fetchall()
        connection.close()
        return int(found)

    world.now += 59
    await engine.sweep()
    assert counts() == 5
    world.now += 61
    await engine.sweep(dry_run=True)
    assert counts() == 5
    await engine.sweep()
    assert counts() == 0
    await engine.check_rate(ALICE)


def spending(program: Spending, owner: str, processes: int) -> list[int]:
    """How many requests were free in each of so many servers that spent a rate together."""
    running: list[subprocess.Popen[str]] = []
    for _ in range(processes):
        running.append(each := program(owner))
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n", each.communicate()
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    ended = [each.communicate(timeout=CHECK_TIMEOUT) for each in running]
    assert [each.returncode for each in running] == [0] * processes, ended
    return [int(free) for free, _ in ended]


@pytest.fixture
def program(database: str, tmp_path: Path) -> Iterator[Spending]:
    """Starts a server that spends 500 requests a day of an owner; ends it with the test."""
    with ExitStack() as started:

        def begin(owner: str) -> subprocess.Popen[str]:
            path = Path(__file__).parent / "programs" / "spend.py"
            command = [sys.executable, "-W", "error", path, database, owner, tmp_path / "data"]
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                list(map(str, command)), stdin=pipe, stdout=pipe, stderr=pipe, text=True
            )
            started.callback(process.communicate)
            started.callback(process.kill)
            return process

        yield begin


def test_servers_that_share_a_database_keep_one_rate_also_after_a_restart(
    program: Spending,
) -> None:
    first, second = spending(program, "alice", 2)
    # At midnight, each may lose what it has taken in advance: a 50th of the rate.
    assert 480 <= first + second <= 500
    assert sum(spending(program, "alice", 1)) <= 1  # a day has 172.8 seconds for each
    assert 490 <= sum(spending(program, "bob", 1)) <= 500


async def test_without_rates_nothing_is_counted(world: World) -> None:
    engine = world.engine()
    for _ in range(200):
        await engine.check_rate(ALICE)
    assert not hasattr(engine._rates, "_limiter")
