"""When a worker ends: at a signal, or when the server that started it has ended.

Rule 1: a worker that was started by a server does not outlive it, however the
server ended. The pipe between them closes when the server is gone.

Rule 2: of the workers that several servers start for one data folder, one works. The others
wait, and one of them takes over when it dies.
"""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Never

from wherry.events import Event, log_event
from wherry.locks import Locks, take_into
from wherry.threads import until_returned

#: The lock of the worker that works.
LOCK = "worker"
#: How often a waiting worker tries to become the one that works, in seconds.
POLL_INTERVAL = 0.5
#: How long a worker may take to end once it should, in seconds.
EXIT_TIMEOUT = 2.0


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at SIGTERM or Ctrl-C. Call it on the main thread's event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def stop_when_closed(descriptor: int, stop: asyncio.Event) -> None:
    """Set `stop` when the pipe `descriptor` is closed at its other end, or the parent is gone."""
    loop = asyncio.get_running_loop()
    parent = os.getppid()

    def watch() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            # Another process may have inherited the other end of the pipe and keep it open.
            while os.getppid() == parent:
                if selector.select(timeout=1.0) and not os.read(descriptor, 4096):
                    break
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="wherry-stop-when-closed", daemon=True).start()


async def end_in_time(stop: asyncio.Event) -> None:
    """End this process by force some time after `stop` is set; see `end_within`."""
    await stop.wait()
    end_within(EXIT_TIMEOUT)


def end_within(grace: float) -> None:
    """End this process by force in `grace` seconds, should it not have ended by itself.

    All finished work is recorded already, so nothing is lost.
    """

    def end() -> None:
        log_event(Event.WORKER_ENDED_LATE, seconds=grace)
        os._exit(1)

    timer = threading.Timer(grace, end)
    timer.daemon = True
    timer.start()


def end_now() -> Never:
    """End this process without waiting for its threads.

    DBOS leaves threads that wait, without a limit, for workflows of other workers.
    """
    logging.shutdown()
    os._exit(0)


@asynccontextmanager
async def hold_worker_lock(locks: Locks, stop: asyncio.Event) -> AsyncIterator[bool]:
    """Wait until no other process has the worker's lock; False if `stop` came first."""
    with ExitStack() as held:
        while not stop.is_set():
            if await until_returned(lambda: take_into(held, locks, LOCK)):
                yield True
                return
            await sleep_or_stop(stop, POLL_INTERVAL)
        yield False


async def sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    """Sleep for `seconds`, or until `stop` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
