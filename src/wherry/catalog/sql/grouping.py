"""A thread that takes the operations that wait, and has them carried out in groups.

A commit waits for the disk. Operations that arrive meanwhile share the next one.

Rule 1: an operation's future is resolved after the commit that holds the operation, never
before. A crash at any line leaves a group recorded completely or not at all.

Rule 2: an operation that raises fails alone. When a transaction fails, its whole group
fails, and the thread continues with the next group.

Rule 3: a caller that stops waiting does not affect the others. An operation that is
cancelled before its group begins is left out; after that, it is carried out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from wherry.catalog.sql.operations import Operation
from wherry.core.webhooks import Outbox

T = TypeVar("T")

#: The largest number of operations in one transaction.
GROUP = 128

#: The result of an operation, or what it has raised.
Outcome = tuple[Any, BaseException | None]
Failure = BaseException | None


@dataclass(eq=False, slots=True)
class Waiting:
    operation: Operation[Any]
    future: Future[Any] = field(default_factory=Future)


class Grouping(ABC):
    """The thread `name`, which `start` starts. A backend says how a group is carried out."""

    def __init__(self, name: str) -> None:
        #: Makes the deliveries of changes from now on; None: there are no webhooks.
        self.outbox: Outbox | None = None
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Future[T]:
        """Queue `operation`; callable from any thread.

        The future raises what the operation raises, `DiskFull` or `StorageFailed`. Raises
        `RuntimeError` after `close`.
        """
        waiting = Waiting(operation)
        with self._lock:
            if self._closed:
                raise RuntimeError("the catalog is closed")
            self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Carry out the operations that wait, then end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    # What a backend brings; all of it runs on the thread.

    @abstractmethod
    def _carry_out(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        """What has come of each of them. It does not raise."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Drop the connection; the next group opens another."""

    def _patience(self) -> float | None:
        """How long to wait for an operation before `_between` is called; None: for ever."""
        return None

    def _between(self) -> None:  # noqa: B027
        """Called before each group, and when none has come within `_patience`."""

    def _after(self) -> None:  # noqa: B027
        """Called after the callers of a group have their answers."""

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._take()
            self._between()
            if group:
                _resolve(group, self._carry_out(group))
            del group
            self._after()
        self._disconnect()

    def _take(self) -> tuple[list[Waiting], bool]:
        """The operations that wait, up to `GROUP`; and whether they are the last ones."""
        group: list[Waiting] = []
        try:
            waiting = self._queue.get(timeout=self._patience())
        except Empty:
            return group, False
        while waiting is not None:
            if waiting.future.set_running_or_notify_cancel():
                group.append(waiting)
            if len(group) == GROUP:
                return group, False
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _one_by_one(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        return [outcome for waiting in group for outcome in self._carry_out([waiting])]


def _resolve(group: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    for waiting, (result, problem) in zip(group, outcomes, strict=True):
        if problem is not None:
            waiting.future.set_exception(problem)
        else:
            waiting.future.set_result(result)


def failed(
    group: Sequence[Waiting], error: BaseException, failure: Callable[[BaseException], Failure]
) -> list[Outcome]:
    """The same for all of them: what `failure` makes of `error`, or the error itself."""
    outcomes: list[Outcome] = []
    for _ in group:
        problem = failure(error) or error
        problem.__cause__ = None if problem is error else error
        outcomes.append((None, problem))
    return outcomes
