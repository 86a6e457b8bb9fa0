"""A newer request at another process takes the place of an older one, wherever bytes and facts are.

The two processes share nothing but the data folder, or the database and the bucket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import patch

import anyio
import pytest
from tests.engine.conftest import (
    ALICE,
    Held,
    World,
    content,
    created,
    in_background,
    settings_in,
    written,
)

from wherry.app.backends import open_catalog, open_storage
from wherry.testing.s3 import BUCKET, S3Server

pytestmark = pytest.mark.anyio

DATA = bytes(range(250)) * 4
LONG = 60.0  #: Seconds after which a test has failed, however busy the machine is.


@pytest.fixture(params=["sqlite-local", "postgres-s3"])
async def pods(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[World]]:
    """One installation, as each of two processes has it."""
    settings, environment = settings_in(tmp_path), dict[str, str]()
    if request.param == "postgres-s3":
        server: S3Server = request.getfixturevalue("s3_server")
        environment = server.environment
        settings = settings_in(
            tmp_path,
            database=request.getfixturevalue("database"),
            storage=f"s3://{BUCKET}/{tmp_path.name}",
            s3_endpoint=server.endpoint,
        )
    async with AsyncExitStack() as opened:
        worlds = []
        for _ in range(2):
            with patch.dict("os.environ", environment):
                storage = open_storage(settings)
            worlds.append(World(storage, open_catalog(settings), settings))
            opened.push_async_callback(worlds[-1].catalog.close)
            opened.callback(worlds[-1].locks.close)
        yield worlds


def other_bytes(world: World) -> bytes:
    """What the older request sends: a bucket has no locks that keep other bytes out."""
    return DATA if world.storage.parts else b"\xff" * len(DATA)


async def test_the_record_of_the_older_one_is_refused(pods: list[World]) -> None:
    """Nothing runs beside the requests, so the older one finds out only by its record."""
    one, other = (world.engine() for world in pods)
    upload = await created(one, len(DATA))
    held, told = Held(other_bytes(pods[0])), list[str]()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, one, upload, held, told)
            await held.begun.wait()
            before = (await pods[0].catalog.load(upload.id)).leases
            newer = asyncio.create_task(written(other, upload, 0, DATA))
            while (await pods[0].catalog.load(upload.id)).leases == before and not newer.done():
                await anyio.sleep(0.02)
            held.let_go.set()
        await newer
    assert told == ["superseded"]
    await other.complete(ALICE, upload.id)
    assert await content(one, upload.id) == DATA


async def test_the_older_one_ends_though_its_client_sends_nothing_more(pods: list[World]) -> None:
    one, other = (world.engine() for world in pods)
    upload = await created(one, len(DATA))
    held, told = Held(other_bytes(pods[0])), list[str]()
    with anyio.fail_after(LONG):
        async with one.running(), anyio.create_task_group() as group:
            group.start_soon(in_background, one, upload, held, told)
            await held.begun.wait()
            assert (await written(other, upload, 0, DATA)).received.size == len(DATA)
    assert told == ["superseded"]
    await other.complete(ALICE, upload.id)
    assert await content(one, upload.id) == DATA
