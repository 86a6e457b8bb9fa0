"""What an application starts, it lets go of: when it ends, and when the start fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wherry import app as app_module
from wherry.app import App
from wherry.deadline_clock import DeadlineClock, FileBeats
from wherry.engine import Engine
from wherry.settings import Settings

pytestmark = pytest.mark.anyio


def writers() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "wherry-catalog-writer"}


async def test_starts_that_fail_leave_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "served.clock").mkdir()
    app, before = App(Settings(data=tmp_path, assessment=False)), writers()
    for _ in range(3):
        with pytest.raises(IsADirectoryError):
            await app.engine()
        assert writers() <= before
    (tmp_path / "served.clock").rmdir()
    await app.engine()
    await app.stop()
    assert writers() <= before


async def test_a_process_that_fails_to_lead_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, led, real = [RuntimeError("a fault of ours")], asyncio.Event(), Engine.sweeping

    @asynccontextmanager
    async def sweeping(engine: Engine) -> AsyncIterator[None]:
        if failures:
            raise failures.pop()
        async with real(engine):
            led.set()
            yield

    monkeypatch.setattr(Engine, "sweeping", sweeping)
    monkeypatch.setattr(app_module, "POLL_INTERVAL", 0.01)
    async with App(Settings(data=tmp_path, assessment=False)).lifespan():
        await asyncio.wait_for(led.wait(), 60)


async def test_the_clock_is_closed_only_when_its_last_beat_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beating, go_on = threading.Event(), threading.Event()
    told: list[str] = []

    class Slow(DeadlineClock):
        def beat(self) -> None:
            beating.set()
            go_on.wait(60)
            told.append("beat")

    monkeypatch.setattr(app_module, "BEAT_INTERVAL", 0.001)
    task = asyncio.create_task(app_module._beat(Slow(FileBeats(None))))
    while not beating.is_set():
        await asyncio.sleep(0.001)
    ending = asyncio.create_task(app_module._end(task))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not ending.done()
    go_on.set()
    await ending
    assert told == ["beat"]
