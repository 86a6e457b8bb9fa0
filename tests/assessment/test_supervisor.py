"""A server's worker runs while the server does, and no longer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress

import pytest

from wherry.assessment import supervisor
from wherry.assessment.supervisor import Supervisor

pytestmark = pytest.mark.anyio

OBEDIENT = [sys.executable, "-c", "import sys; sys.stdin.read()"]
STUBBORN = [sys.executable, "-c", "import time; time.sleep(600)"]


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def started(keeper: Supervisor, other_than: int | None = None) -> int:
    deadline = time.monotonic() + 20
    while keeper.pid in (None, other_than):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert keeper.pid is not None
    return keeper.pid


async def test_a_worker_runs_and_ends_with_its_server() -> None:
    async with Supervisor(OBEDIENT) as keeper:
        pid = await started(keeper)
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_a_worker_that_dies_is_started_again() -> None:
    async with Supervisor(OBEDIENT) as keeper:
        first = await started(keeper)
        os.kill(first, signal.SIGKILL)
        assert is_alive(await started(keeper, other_than=first))


async def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.2)
    async with Supervisor(STUBBORN) as keeper:
        pid = await started(keeper)
    assert not is_alive(pid)


async def test_a_worker_that_cannot_be_started_is_no_harm_to_the_server() -> None:
    async with Supervisor(["/nonexistent/program"]) as keeper:
        await asyncio.sleep(0)
        assert keeper.pid is None


async def test_workers_that_die_at_once_are_started_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(supervisor, "sleep", note)
    async with Supervisor([sys.executable, "-c", ""]):
        await enough.wait()
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
