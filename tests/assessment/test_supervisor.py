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
from wherry.core.worker import Worker, WorkerState
from wherry.metrics import Metrics

pytestmark = pytest.mark.anyio

OBEDIENT = [sys.executable, "-c", "import sys; sys.stdin.read()"]
STUBBORN = [sys.executable, "-c", "import time; time.sleep(600)"]


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def started(keeper: Supervisor, other_than: int | None = None) -> int:
    deadline = time.monotonic() + 120
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
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT", 0.2)
    async with Supervisor(STUBBORN) as keeper:
        pid = await started(keeper)
    assert not is_alive(pid)


async def test_a_worker_that_cannot_be_started_is_no_harm_to_the_server() -> None:
    async with Supervisor(["/nonexistent/program"]) as keeper:
        await asyncio.sleep(0)
        assert keeper.pid is None


async def test_a_command_that_cannot_even_be_tried_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = asyncio.Event()

    async def pause(seconds: float) -> None:
        tried.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(supervisor, "sleep", pause)
    async with Supervisor(["with a \0 in it"]) as keeper:
        await asyncio.wait_for(tried.wait(), 120)
        assert keeper.worker.state is WorkerState.FAILING
        assert "null" in (keeper.worker.problem or "")


async def test_a_worker_runs_whatever_becomes_of_those_who_are_told() -> None:
    def tell(worker: Worker) -> None:
        raise RuntimeError("no ears")

    async with Supervisor(OBEDIENT, tell) as keeper:
        first = await started(keeper)
        os.kill(first, signal.SIGKILL)
        assert is_alive(await started(keeper, other_than=first))


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


# How it is.


def worker_that(*lines: str, then: str = "sys.stdin.read()") -> list[str]:
    """A command that prints these lines, and then does something."""
    said = "\n".join(lines)
    return [sys.executable, "-c", f"import os, sys; print({said!r}, flush=True); {then}"]


WORKS, CANNOT = '{"problem": null}', '{"problem": "no such file"}'


async def told(keeper: Supervisor, state: WorkerState) -> Worker:
    """Wait until the worker is in this state."""
    deadline = time.monotonic() + 120
    while keeper.worker.state is not state:
        assert time.monotonic() < deadline, keeper.worker
        await asyncio.sleep(0.01)
    return keeper.worker


async def test_a_worker_that_says_so_is_working() -> None:
    heard: list[Worker] = []
    async with Supervisor(worker_that("something else", "{", WORKS), heard.append) as keeper:
        await told(keeper, WorkerState.WORKING)
    assert [worker.state.value for worker in heard] == ["starting", "working", "starting"]


async def test_a_worker_that_cannot_start_is_told_with_its_own_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    command = worker_that(CANNOT, then="sys.exit(1)")
    async with Supervisor(command, metrics=metrics) as keeper:
        failing = await told(keeper, WorkerState.FAILING)
    assert failing.problem == "The worker cannot start: no such file."
    assert 'worker-failing problem="The worker cannot start: no such file."' in caplog.text
    assert "worker-died code=1" in caplog.text


@pytest.mark.parametrize(
    ("then", "cause"),
    [
        ("sys.exit(3)", "it ended with code 3; see the server's log"),
        ("raise ImportError", "it ended with code 1; see the server's log"),
    ],
)
async def test_one_that_said_nothing_is_told_by_how_it_ended(then: str, cause: str) -> None:
    async with Supervisor(worker_that(then=then)) as keeper:
        failing = await told(keeper, WorkerState.FAILING)
    assert failing.problem == f"The worker cannot start: {cause}."


async def test_a_program_that_is_not_there_is_told() -> None:
    async with Supervisor(["/nonexistent/program"]) as keeper:
        failing = await told(keeper, WorkerState.FAILING)
    assert failing.problem == "The worker cannot start: No such file or directory."


async def test_a_worker_that_is_killed_again_and_again_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Worker, "restart_delay", 0.01)
    suicide = worker_that(WORKS, then="os.kill(os.getpid(), 9)")
    async with Supervisor(suicide) as keeper:
        failing = await told(keeper, WorkerState.FAILING)
    assert failing.problem is not None
    assert failing.problem.endswith("times in a row: it was ended by SIGKILL.")


async def test_a_worker_that_cannot_work_any_more_says_so_and_when_that_is_over() -> None:
    command = worker_that(
        WORKS, CANNOT, then=f"sys.stdin.readline(); print({WORKS!r}, flush=True); sys.stdin.read()"
    )
    async with Supervisor(command) as keeper:
        failing = await told(keeper, WorkerState.FAILING)
        assert failing.problem == "The worker cannot assess: no such file."
        assert keeper._process is not None
        assert keeper._process.stdin is not None
        keeper._process.stdin.write(b"\n")
        await told(keeper, WorkerState.WORKING)


async def test_one_that_does_not_begin_to_work_in_time_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "START_TIMEOUT", 0.01)
    async with Supervisor(OBEDIENT) as keeper:
        failing = await told(keeper, WorkerState.FAILING)
    assert failing.problem is not None
    assert "has not begun to work" in failing.problem


async def test_after_three_deaths_a_worker_that_lives_is_believed_in_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "STEADY_AFTER", 0.01)
    async with Supervisor(worker_that(WORKS)) as keeper:
        keeper.worker = Worker(WorkerState.FAILING, problem="The worker ended.", deaths=3)
        await told(keeper, WorkerState.WORKING)


async def test_a_worker_that_floods_its_output_is_kept_and_heard() -> None:
    flood = f"sys.stdout.write('x' * 1_000_000 + chr(10) + {WORKS!r} + chr(10)); "
    command = worker_that(then=f"{flood} sys.stdout.flush(); sys.stdin.read()")
    async with Supervisor(command) as keeper:
        await told(keeper, WorkerState.WORKING)


async def test_where_nobody_can_be_told_the_worker_is_kept_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def tell(worker: Worker) -> None:
        raise OSError(28, "No space left on device")

    async with Supervisor(worker_that(WORKS), tell) as keeper:
        await told(keeper, WorkerState.WORKING)
    assert "background-failed" in caplog.text
