"""One thread renews the leases of all completions of a process."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, World, created, settings_in, written

from wherry.core.upload import State
from wherry.engine import FinishedFile, Hooks

pytestmark = pytest.mark.anyio


async def test_one_thread_renews_every_lease_while_hooks_run(world: World) -> None:
    world.settings = settings_in(world.settings.data).model_copy(update={"completion_lease": 0.3})
    before, go_on = set(threading.enumerate()), threading.Event()

    def on_complete(file: FinishedFile) -> str:
        assert go_on.wait(60)
        return "done"

    engine = world.engine(hooks=Hooks(on_complete=on_complete))
    uploads = [await created(engine, 10) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for upload in uploads:
            await written(engine, upload, 0, b"x" * 10)
            tasks.start_soon(engine.complete, ALICE, upload.id)
        with anyio.fail_after(60):
            while not all([(await world.catalog.load(u.id)).calls.lost for u in uploads]):
                await anyio.sleep(0.01)
            world.now += 1000.0
            # Each lease is renewed by the clock of now.
            for upload in uploads:
                while True:
                    found = await world.catalog.load(upload.id)
                    assert found.completion is not None
                    if found.completion.until > world.now:
                        break
                    await anyio.sleep(0.01)
        started = [t for t in {*threading.enumerate()} - before if t.name == "wherry-lease"]
        assert len(started) == 1
        go_on.set()
    with anyio.fail_after(60):
        while started[0].is_alive():
            await anyio.sleep(0.01)
    for upload in uploads:
        assert (await world.catalog.load(upload.id)).state is State.COMPLETE


async def test_a_completion_that_is_recorded_is_not_reported_as_one_that_lost_its_lease(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal may come between the record and the end of the request."""
    world.settings = settings_in(world.settings.data).model_copy(update={"completion_lease": 0.03})
    engine = world.engine()
    upload = await created(engine, 10)
    await written(engine, upload, 0, b"x" * 10)
    await engine.complete(ALICE, upload.id)
    submit, renewals = world.catalog.submit_update, threading.Semaphore(0)

    def submitted(*args: Any) -> Any:
        renewals.release()
        return submit(*args)

    monkeypatch.setattr(world.catalog, "submit_update", submitted)
    with engine._completing._leases.kept(upload.id, "token"):
        for _ in range(2):  # the first one has ended, and was reported, when the second begins
            assert await anyio.to_thread.run_sync(renewals.acquire, True, 60)
    assert "lease-not-renewed" not in caplog.text
