"""A server that stops ends its requests in time, in order, and begins nothing."""

from __future__ import annotations

import asyncio
import signal
from types import SimpleNamespace

import anyio
import pytest
from tests.engine.conftest import ALICE, Held, World, content, created, written

from wherry.core.errors import Stopping
from wherry.core.requests import Write
from wherry.core.upload import State
from wherry.engine import FinishedFile, Hooks
from wherry.engine.stopping import is_server_stopping, time_for_requests

pytestmark = pytest.mark.anyio

DATA = bytes(range(250)) * 4
LONG = 120.0


@pytest.fixture(autouse=True)
def short(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wherry.engine.background.CHECK_INTERVAL", 0.01)
    world.settings = world.settings.model_copy(update={"grace_period": 0.2})


async def test_a_body_that_lasts_is_recorded_as_far_as_it_came(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held = Held(DATA)
    with anyio.fail_after(LONG):
        async with engine.running():
            writing = asyncio.ensure_future(engine.write(ALICE, Write(upload.id, 0), held))
            await held.begun.wait()
            monkeypatch.setattr(engine._context, "is_stopping", lambda: True)
            with pytest.raises(Stopping):
                await writing
    assert (await world.engine().status(ALICE, upload.id)).offset == len(DATA) // 2


async def test_a_completion_whose_hook_lasts_is_answered_and_the_next_process_resumes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, called = list[str](), anyio.Event()

    async def on_complete(file: FinishedFile) -> str:
        calls.append(file.id)
        called.set()
        if len(calls) == 1:
            await anyio.sleep_forever()
        return "assessed"

    hooks = Hooks(on_complete=on_complete)
    engine = world.engine(hooks=hooks)
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA)
    with anyio.fail_after(LONG):
        async with engine.running():
            completing = asyncio.ensure_future(engine.complete(ALICE, upload.id))
            await called.wait()
            monkeypatch.setattr(engine._context, "is_stopping", lambda: True)
            assert (await completing).state is State.COMPLETING
        after = world.engine(hooks=hooks)
        await after._completing.resume()
        complete = await after.complete(ALICE, upload.id)
    assert (complete.state, complete.assessment_id, len(calls)) == (State.COMPLETE, "assessed", 2)
    assert await content(after, upload.id) == DATA


async def test_a_server_that_stops_resumes_and_admits_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    begun = list[str]()

    async def begin() -> None:
        begun.append("something")

    monkeypatch.setattr(engine._completing, "resume", begin)
    monkeypatch.setattr(engine._admitting, "advance", begin)
    await engine._background._poll()
    assert len(begun) == 2
    monkeypatch.setattr(engine._context, "is_stopping", lambda: True)
    await engine._background._poll()
    assert len(begun) == 2


@pytest.mark.parametrize(
    ("grace_period", "timeout", "seconds"),
    [(8.0, None, 6.0), (30.0, None, 28.0), (8.0, 3, 1.75), (8.0, 30, 6.0), (1.0, None, 0.5)],
)
async def test_requests_end_before_uvicorn_cancels_them(
    monkeypatch: pytest.MonkeyPatch, grace_period: float, timeout: int | None, seconds: float
) -> None:
    class Server:
        should_exit = True
        config = SimpleNamespace(timeout_graceful_shutdown=timeout)

        def handle_exit(self, *_: object) -> None: ...

    monkeypatch.setattr(signal, "getsignal", lambda _: Server().handle_exit)
    assert is_server_stopping()
    assert time_for_requests(grace_period) == seconds
