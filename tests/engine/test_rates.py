"""How much one owner may ask for in a time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, World, created, written

from wherry.core.errors import NeverFits, RateLimited
from wherry.core.requests import Caller, Create, Write
from wherry.engine import Engine

pytestmark = pytest.mark.anyio

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


async def test_without_rates_nothing_is_counted(world: World) -> None:
    engine = world.engine()
    for _ in range(200):
        await engine.check_rate(ALICE)
    assert not hasattr(engine._rates, "_limiter")
