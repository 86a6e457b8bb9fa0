"""What a process learns of paths, records in groups, and shares with other processes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.engine.conftest import ALICE, World, started

from wherry.core.errors import NotThere, StorageFailed
from wherry.core.limits import MiB
from wherry.core.paths import (
    KEEP_REPORTS,
    LEAST,
    MOST_HOSTS,
    QUORUM,
    RENEW_AFTER,
    PathLimits,
    Paths,
)
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.engine.paths import LOG_EVERY, MOST_FACTS, READ_EVERY

pytestmark = pytest.mark.anyio

HOST = "example.org"
BOB = Caller("bob")
OPERATOR = Caller("operator", operator=True)
NARROW = PathLimits(1 * MiB, 2 * MiB)


def refuse(engine: Engine, caller: Caller = ALICE, size: int = 2 * MiB, **more: Any) -> None:
    given: dict[str, Any] = {"by": "nginx", "passed": 1 * MiB, "address": f"https://{HOST}/api"}
    engine.paths.refused(caller, HOST, size, **(given | more))


def quorum(engine: Engine) -> None:
    for number in range(QUORUM):
        refuse(engine, Caller(f"q{number}"))


@pytest.fixture
def changes(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[Paths], Paths]]:
    """Every change of paths that the catalog is asked for."""
    made: list[Callable[[Paths], Paths]] = []
    change = world.catalog.update_paths

    async def counted(function: Callable[[Paths], Paths]) -> Paths:
        made.append(function)
        return await change(function)

    monkeypatch.setattr(world.catalog, "update_paths", counted)
    return made


async def test_what_a_process_has_seen_it_tells_at_once(world: World) -> None:
    engine = world.engine()
    assert engine.paths.limits(ALICE, HOST) is None
    engine.paths.passed(ALICE, HOST, 1 * MiB)
    refuse(engine)
    assert engine.paths.limits(ALICE, HOST) == NARROW
    assert engine.paths.limits(BOB, HOST) == PathLimits(1 * MiB, None)
    assert engine.paths.limits(ALICE, "other.example") is None


async def test_other_processes_tell_it_when_they_have_read_it(world: World) -> None:
    one, other = world.engine(), world.engine()
    await other.paths.keep()
    one.paths.passed(ALICE, HOST, 1 * MiB)
    quorum(one)
    await one.paths.keep()
    await other.paths.keep()
    assert other.paths.limits(BOB, HOST) is None
    world.now += READ_EVERY
    await other.paths.keep()
    assert other.paths.limits(BOB, HOST) == NARROW


async def test_what_two_processes_learn_at_once_is_kept_together(world: World) -> None:
    one, other = world.engine(), world.engine()
    one.paths.passed(ALICE, HOST, 1 * MiB)
    refuse(one, Caller("q0"))
    refuse(other, Caller("q1"))
    refuse(other, Caller("q2"))
    await one.paths.keep()
    await other.paths.keep()
    assert other.paths.limits(BOB, HOST) == NARROW
    assert (await world.engine().paths.summaries(OPERATOR))[0].owners == QUORUM


async def test_a_restart_forgets_nothing(world: World) -> None:
    async with started(world.settings) as engine:
        engine.paths.passed(ALICE, HOST, 1 * MiB)
        quorum(engine)
    async with started(world.settings) as engine:
        await engine.paths.keep()
        assert engine.paths.limits(BOB, HOST) == NARROW


async def test_a_thousand_chunks_and_reports_cost_one_change(
    world: World, changes: list[object]
) -> None:
    engine = world.engine()
    for number in range(1000):
        engine.paths.passed(ALICE, HOST, LEAST + number)
        refuse(engine, size=9 * MiB - number)
    await engine.paths.keep()
    assert len(changes) == 1
    for _ in range(1000):
        engine.paths.passed(ALICE, HOST, LEAST)
        await engine.paths.keep()
    assert len(changes) == 1


async def test_what_is_known_is_renewed_once_an_hour(world: World, changes: list[object]) -> None:
    engine = world.engine()
    for _ in range(10):
        for _ in range(5):
            engine.paths.passed(ALICE, HOST, 5 * MiB)
            await engine.paths.keep()
        world.now += RENEW_AFTER
    assert len(changes) == 10


async def test_what_waits_to_be_recorded_has_a_bound(world: World) -> None:
    engine = world.engine()
    for number in range(3 * MOST_HOSTS):
        engine.paths.passed(ALICE, f"h{number}", 1 * MiB)
    for number in range(3 * MOST_FACTS):
        refuse(engine, Caller(str(number)))
        engine.paths.passed(Caller(str(number)), "h0", LEAST + number)
    assert len(engine.paths._new) <= MOST_HOSTS
    assert max(map(len, engine.paths._new.values())) <= MOST_FACTS


async def test_what_cannot_be_recorded_is_used_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    engine.paths.passed(ALICE, HOST, 1 * MiB)

    async def fail(_: object) -> Paths:
        quorum(engine)  # comes meanwhile
        raise StorageFailed("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(world.catalog, "update_paths", fail)
        with pytest.raises(StorageFailed):
            await engine.paths.keep()
    assert engine.paths.limits(BOB, HOST) == NARROW
    await engine.paths.keep()
    assert (await world.catalog.paths())[HOST].limits_for("", world.now) == NARROW


async def test_a_widened_ingress_is_noticed_by_one_trial_after_a_day(world: World) -> None:
    engine = world.engine()
    engine.paths.passed(ALICE, HOST, 1 * MiB)
    quorum(engine)
    await engine.paths.keep()
    world.now += KEEP_REPORTS - 1
    assert engine.paths.limits(BOB, HOST) == NARROW
    world.now += 1
    assert engine.paths.limits(BOB, HOST) == PathLimits(1 * MiB, None)
    engine.paths.passed(ALICE, HOST, 5 * MiB)
    await engine.paths.keep()
    assert engine.paths.limits(BOB, HOST) == PathLimits(5 * MiB, None)


async def test_a_narrow_ingress_that_is_tried_again_is_known_for_another_day(world: World) -> None:
    engine = world.engine()
    engine.paths.passed(ALICE, HOST, 1 * MiB)
    quorum(engine)
    world.now += KEEP_REPORTS
    quorum(engine)
    await engine.paths.keep()
    world.now += KEEP_REPORTS - 1
    assert engine.paths.limits(BOB, HOST) == NARROW


async def test_a_forgotten_host_is_unknown_in_every_process_soon(world: World) -> None:
    engine, command = world.engine(), world.engine()
    engine.paths.passed(ALICE, HOST, 1 * MiB)
    await engine.paths.keep()
    assert await command.paths.forget(OPERATOR, [HOST, "unknown.example"]) == {HOST}
    assert await command.paths.summaries(OPERATOR) == []
    world.now += READ_EVERY
    await engine.paths.keep()
    assert engine.paths.limits(ALICE, HOST) is None


async def test_only_operators_see_and_forget_paths(world: World) -> None:
    engine = world.engine()
    with pytest.raises(NotThere):
        await engine.paths.summaries(ALICE)
    with pytest.raises(NotThere):
        await engine.paths.forget(ALICE, [HOST])


# The log.


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [r.getMessage() for r in caplog.records if r.getMessage().startswith("path-")]
    caplog.clear()
    return found


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "wherry")
    return caplog


async def test_a_limit_is_logged_once_with_the_command_to_run_next(
    world: World, logged: pytest.LogCaptureFixture
) -> None:
    engine, other = world.engine(), world.engine()
    engine.paths.passed(ALICE, HOST, 1 * MiB)
    await engine.paths.keep()
    assert lines(logged) == []  # nothing is refused
    for _ in range(3):
        refuse(engine)
        await engine.paths.keep()
    assert lines(logged) == [
        f"path-narrow host={HOST} passes=1048576 refuses=2097152 refused_by=nginx owners=1 "
        f'command="wherry doctor https://{HOST}/api"'
    ]
    world.now += READ_EVERY
    await other.paths.keep()
    assert lines(logged) == []  # it was logged by the other process


async def test_an_address_that_is_not_certain_is_not_logged(
    world: World, logged: pytest.LogCaptureFixture
) -> None:
    engine = world.engine()
    refuse(engine, address="")
    await engine.paths.keep()
    (line,) = lines(logged)
    assert line.endswith('command="wherry doctor ADDRESS"')


async def test_a_limit_that_changes_is_logged_and_one_that_is_gone_too(
    world: World, logged: pytest.LogCaptureFixture
) -> None:
    engine = world.engine()
    refuse(engine)
    await engine.paths.keep()
    world.now += LOG_EVERY
    refuse(engine, size=1 * MiB, passed=LEAST)
    await engine.paths.keep()
    world.now += LOG_EVERY
    engine.paths.passed(ALICE, HOST, 5 * MiB)
    await engine.paths.keep()
    found = lines(logged)
    assert [line.split()[0] for line in found] == ["path-narrow", "path-narrow", "path-wider"]
    assert found[2] == f"path-wider host={HOST} passes=5242880"


async def test_a_client_that_reports_over_and_over_writes_one_line_a_minute(
    world: World, logged: pytest.LogCaptureFixture
) -> None:
    engine = world.engine()
    for number in range(120):  # a second each
        engine.paths.passed(ALICE, HOST, LEAST + 10 * number)
        refuse(engine, size=LEAST + 10 * number + 5, passed=0)
        await engine.paths.keep()
        world.now += 1
    assert len(lines(logged)) == 120 // LOG_EVERY


async def test_a_change_within_the_minute_is_logged_after_it(
    world: World, logged: pytest.LogCaptureFixture
) -> None:
    engine = world.engine()
    engine.paths.passed(ALICE, HOST, 1 * MiB)
    refuse(engine)
    await engine.paths.keep()
    quorum(engine)
    await engine.paths.keep()
    assert len(lines(logged)) == 1
    world.now += LOG_EVERY
    await engine.paths.keep()
    (line,) = lines(logged)
    assert f"owners={QUORUM + 1}" in line
