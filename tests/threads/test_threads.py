"""Calls on threads: who waits for them, how many there are at once, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from wherry import threads
from wherry.threads import DISK_THREADS, until_resolved, until_returned

pytestmark = pytest.mark.anyio

Hop = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


def _then(call: Callable[[], Any]) -> Future[Any]:
    """A future that another thread resolves with what `call` gives there."""
    future: Future[Any] = Future()

    def resolve() -> None:
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=resolve).start()
    return future


async def by_two_threads(call: Callable[[], Any]) -> Any:
    return await until_resolved(lambda: _then(call))


@pytest.fixture(params=[until_returned, by_two_threads])
def hop(request: pytest.FixtureRequest) -> Hop:
    found: Hop = request.param
    return found


class Slow:
    """A call that returns when it is allowed to."""

    def __init__(self) -> None:
        self.begun, self.finish = threading.Event(), threading.Event()
        self.has_returned = False

    def __call__(self) -> str:
        self.begun.set()
        assert self.finish.wait(60)
        self.has_returned = True
        return "done"

    async def has_begun(self) -> None:
        while not self.begun.is_set():
            await asyncio.sleep(0.001)


async def test_what_a_call_returns_and_raises_reaches_its_caller(hop: Hop) -> None:
    caller = threading.get_ident()
    assert await hop(threading.get_ident) != caller
    assert await hop(lambda: None) is None
    for error in (KeyError("a"), StopIteration("b"), asyncio.CancelledError("c"), SystemExit(3)):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises((type(error), RuntimeError)) as caught:
            await hop(fail)
        assert caught.value is error or caught.value.__cause__ is error


async def test_who_is_cancelled_by_asyncio_waits_until_the_call_has_returned(hop: Hop) -> None:
    slow = Slow()
    task = asyncio.create_task(hop(slow))
    await slow.has_begun()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    slow.finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.has_returned


async def test_who_is_cancelled_before_the_call_begins_waits_for_it_as_well(hop: Hop) -> None:
    slow = Slow()

    async def calling() -> None:
        own = asyncio.current_task()
        assert own is not None
        own.cancel()
        await hop(slow)

    task = asyncio.create_task(calling())
    await slow.has_begun()
    await asyncio.sleep(0.01)
    assert not task.done()
    slow.finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.has_returned


async def test_who_is_cancelled_by_a_scope_waits_without_spinning(
    hop: Hop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """anyio cancels again in each turn of the loop, unless the task is shielded."""
    slow, loop = Slow(), asyncio.get_running_loop()
    scope, turns, real = anyio.CancelScope(), 0, loop.call_soon

    def counting(*args: Any, **options: Any) -> asyncio.Handle:
        nonlocal turns
        turns += 1
        return real(*args, **options)

    async def cancelled() -> None:
        with scope:
            await hop(slow)

    task = asyncio.create_task(cancelled())
    await slow.has_begun()
    monkeypatch.setattr(loop, "call_soon", counting)
    scope.cancel()
    await asyncio.sleep(0.1)
    assert not task.done()
    slow.finish.set()
    await task
    assert slow.has_returned
    assert scope.cancelled_caught
    assert turns < 50


async def test_a_scope_that_is_cancelled_beside_and_again_ends_the_task_once(hop: Hop) -> None:
    slow, after = Slow(), False
    with anyio.CancelScope() as outer:
        with anyio.CancelScope() as inner:

            async def cancel() -> None:
                await slow.has_begun()
                inner.cancel()
                await asyncio.sleep(0.01)
                outer.cancel()
                slow.finish.set()

            cancelling = asyncio.create_task(cancel())
            await hop(slow)
        await anyio.sleep(0)
        after = True
    await cancelling
    assert outer.cancelled_caught
    assert slow.has_returned
    assert not after
    await asyncio.sleep(0)  # nothing of the cancellation is left over


async def test_context_variables_of_the_caller_hold_on_the_thread() -> None:
    number: ContextVar[int] = ContextVar("number", default=0)
    number.set(7)

    def look() -> int:
        found = number.get()
        number.set(8)  # and what is set there stays there
        return found

    assert await until_returned(look) == 7
    assert number.get() == 7
    assert await until_returned(number.get) == 7


async def test_no_more_calls_run_at_once_than_there_are_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Another test may have stored files in S3, and allowed this process more.
    monkeypatch.setattr(threads, "_disk", threads._Threads(DISK_THREADS))
    lock, running, most, finish = threading.Lock(), 0, 0, threading.Event()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert finish.wait(60)
        with lock:
            running -= 1

    tasks = [asyncio.create_task(until_returned(call)) for _ in range(3 * DISK_THREADS)]
    while running < DISK_THREADS:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    finish.set()
    await asyncio.gather(*tasks)
    assert most == DISK_THREADS


async def test_a_chain_leaves_its_thread_to_others_while_its_future_is_open() -> None:
    futures: list[Future[int]] = [Future() for _ in range(2 * DISK_THREADS)]
    waiting = [asyncio.create_task(until_resolved(lambda f=f: f)) for f in futures]  # type: ignore[misc]
    assert await until_returned(lambda: 3) == 3
    for number, future in enumerate(futures):
        future.set_result(number)
    assert await asyncio.gather(*waiting) == list(range(len(futures)))


async def test_a_chain_whose_first_step_fails_or_whose_future_is_cancelled_ends() -> None:
    def fail() -> Future[int]:
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        await until_resolved(fail)
    future: Future[int] = Future()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await until_resolved(lambda: future)


async def test_one_thread_serves_calls_that_follow_each_other() -> None:
    own = threads._Threads(4)

    async def hop() -> str:
        call = threads.Call(lambda: threading.current_thread().name)
        own.run(call)
        return await call.outcome()

    for _ in range(50):
        await hop()
        # Its thread is free a moment after its answer is there.
        while own._free < own._started:
            await asyncio.sleep(0)
    assert own._started == 1


async def test_where_no_thread_can_be_started_the_call_fails_or_waits_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, real = threads._Threads(4), threading.Thread.start

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def hop(call: Callable[[], Any]) -> Awaitable[Any]:
        running = threads.Call(call)
        own.run(running)
        return running.outcome()

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="start new thread"):
        hop(lambda: 1)
    monkeypatch.setattr(threading.Thread, "start", real)
    slow = Slow()
    first = asyncio.ensure_future(hop(slow))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    second = asyncio.ensure_future(hop(lambda: 2))
    await slow.has_begun()
    slow.finish.set()
    assert await first == "done"
    assert await second == 2


def test_several_event_loops_use_the_threads_at_once() -> None:
    results: list[int] = []

    async def work(number: int) -> None:
        for _ in range(100):
            results.append(await until_returned(lambda: number))
            results.append(await by_two_threads(lambda: number))

    loops = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in range(4)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join(60)
    assert sorted(results) == sorted(200 * list(range(4)))


def test_a_call_whose_loop_is_gone_disturbs_nobody() -> None:
    slow = Slow()
    loop = asyncio.new_event_loop()
    running = threads.Call
    call: list[threads.Call[str]] = []

    async def begin() -> None:
        call.append(running(slow))
        threads._disk.run(call[0])

    loop.run_until_complete(begin())
    loop.close()
    slow.finish.set()
    assert asyncio.run(until_returned(lambda: 5)) == 5


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


UNDER_UVLOOP = """
import asyncio, threading, uvloop
from wherry.threads import until_returned
begun, go_on = threading.Event(), threading.Event()
def work():
    begun.set()
    go_on.wait()
    print("over")
async def main():
    task = asyncio.create_task(until_returned(work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", await until_returned(lambda: 4))
uvloop.run(main())
"""


def test_under_uvloop_it_is_the_same() -> None:
    found = _run(UNDER_UVLOOP)
    assert (found.stdout, found.stderr) == ("over\ncancelled 4\n", "")


AT_EXIT = """
import asyncio, threading
from wherry.threads import until_returned
async def main():
    asyncio.get_running_loop().call_later(0.2, asyncio.get_running_loop().stop)
    await until_returned(threading.Event().wait)
loop = asyncio.new_event_loop()
task = loop.create_task(main())
loop.run_forever()
task._log_destroy_pending = False
print("end", flush=True)
"""


def test_a_process_ends_while_a_thread_waits() -> None:
    assert _run(AT_EXIT).stdout == "end\n"


FORKED = """
import asyncio, os, warnings
from wherry.threads import until_returned
warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which this is about
async def several():
    print(sum(await asyncio.gather(*(until_returned(lambda: 1) for _ in range(20)))), flush=True)
asyncio.run(several())
if (child := os.fork()) == 0:
    asyncio.run(several())
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    assert _run(FORKED).stdout == "20\n20\n"


INTERRUPTED = """
import asyncio, time
from wherry.threads import until_returned
def work(task):
    print("begun", flush=True)
    while not task.cancelling():
        time.sleep(0.01)
    time.sleep(0.1)
    print("over", flush=True)
async def main():
    task = asyncio.current_task()
    await until_returned(lambda: work(task))
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_waits_for_the_call_that_runs() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b"over\ninterrupted\n"
