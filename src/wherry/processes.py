"""Several processes of `wherry serve`, which accept connections at the same addresses.

The process that was started starts them, watches them, and serves nothing itself.

Rule 1: a process that ends is replaced. But if one of the first does not even start, the server
ends, as it does with one process: the next one would not start either.

Rule 2: they end with the process that started them. If that is killed, so are they: a server that
is started in its place needs their port.

Rule 3: they are forked, so that they share the memory of what is loaded. No thread may run by then.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Thread
from types import FrameType

from wherry.events import Event, log_event

#: The exit code of a process that never served.
NOT_STARTED = 3
#: How long a process that ended is not replaced, in seconds: it may end again at once.
PAUSE = 1.0

_STOP = (signal.SIGTERM, signal.SIGINT)


def run_processes(count: int, serve: Callable[[int], None]) -> None:
    """Run `serve` in `count` processes until SIGTERM or Ctrl-C, and until they have ended.

    `serve` gets the number of its process, from 0 on; the one that replaces it has the same. It
    raises `RuntimeError` if it does not start. At the end, a signal takes its usual effect. Raises
    `RuntimeError` if one of the first does not start, when the others have ended.
    """
    group = _Group(count, serve)
    before = {each: signal.signal(each, group.stop) for each in _STOP}
    try:
        group.run()
    finally:
        group.end()
        for each, handler in before.items():
            signal.signal(each, handler)
    if group.failed:
        raise RuntimeError("the server did not start; the log says why")
    if group.stopped_by is not None:
        signal.raise_signal(group.stopped_by)


class _Group:
    def __init__(self, count: int, serve: Callable[[int], None]) -> None:
        self.failed = False
        self.stopped_by: signal.Signals | None = None
        self._count, self._serve = count, serve
        self._running: dict[int, BaseProcess] = {}
        self._has_replaced = False
        # Only this process has the end to write to. When it ends, the others read the end of file.
        self._lifeline = os.pipe()

    def run(self) -> None:
        while True:
            for number in range(self._count):
                if number not in self._running:
                    self._start(number)
            if not self._running:
                return
            wait([each.sentinel for each in self._running.values()])
            for number, each in tuple(self._running.items()):
                if not each.is_alive():
                    del self._running[number]
                    self._note_end(each)

    def stop(self, caught: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.stopped_by = signal.Signals(caught)
        self.end()

    def end(self) -> None:
        for each in tuple(self._running.values()):
            each.terminate()  # SIGTERM

    def _is_ending(self) -> bool:
        return self.failed or self.stopped_by is not None

    def _start(self, number: int) -> None:
        """Start the process with this number, unless all of them are to end."""
        process = multiprocessing.get_context("fork").Process(
            target=self._serve_here, args=(number,)
        )
        # A signal that came in between would be handled by the new process as by this one, or it
        # would not reach the new process.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        try:
            if not self._is_ending():
                process.start()
                self._running[number] = process
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)

    def _note_end(self, process: BaseProcess) -> None:
        if self._is_ending():
            return
        if process.exitcode == NOT_STARTED and not self._has_replaced:
            self.failed = True
            self.end()
            return
        self._has_replaced = True
        log_event(Event.PROCESS_ENDED, pid=process.pid, code=process.exitcode)
        wait([each.sentinel for each in self._running.values()], PAUSE)

    def _serve_here(self, number: int) -> None:
        """The life of one of the processes."""
        for each in _STOP:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        kept, written = self._lifeline
        os.close(written)
        Thread(target=_end_with_parent, args=(kept,), daemon=True).start()
        try:
            self._serve(number)
        except RuntimeError:
            sys.exit(NOT_STARTED)


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGKILL)
