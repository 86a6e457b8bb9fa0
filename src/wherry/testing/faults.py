"""Crashes at every point of a run, one after the other.

    for point in crash_points():
        with point:
            run(point.wrap(storage), point.wrap(catalog))
        check_what_is_left(storage, catalog)

Each call of a wrapped object is two points: before it takes effect, and after.
The loop crashes a fresh run at the first point, then at the second, and ends
with a run that gets through.

Rule 1: a crash is final, as `kill -9` is. After it every call through the same
`CrashPoint`, from any task or thread, raises `Crash` and has no effect; so
`finally` blocks and background tasks of a dead run change nothing.

Rule 2: what the kernel does for the dead still happens: leaving a wrapped
context manager leaves the wrapped one, so locks and files are let go.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import PurePath
from threading import Lock
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: No run of anything here makes so many calls; a loop that gets there has no end.
TOO_MANY = 100_000


class Crash(BaseException):
    """The process ends here. Not an `Exception`: nobody may live on after it."""


class CrashPoint:
    """The moment number `at`, counted from 0 over everything wrapped or guarded by it."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.is_reached = False
        self._passed = 0
        self._lock = Lock()
        self._where = "never reached"

    def __str__(self) -> str:
        return f"crash point {self.at} ({self._where})"

    def pass_by(self, where: str) -> None:
        """Count one point; `where` is for people. Raises `Crash` at the point and after it."""
        with self._lock:
            if not self.is_reached and self._passed == self.at:
                self.is_reached, self._where = True, where
            self._passed += 1
        if self.is_reached:
            raise Crash(str(self))

    def guard(self, function: Callable[P, R]) -> Callable[P, R]:
        """The same function, sync or async, with a point before and one after it."""
        name = getattr(function, "__qualname__", repr(function))
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                self.pass_by(f"before {name}")
                result = await function(*args, **kwargs)
                self.pass_by(f"after {name}")
                return result

            return cast("Callable[P, R]", call_async)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            self.pass_by(f"before {name}")
            result = function(*args, **kwargs)
            try:
                self.pass_by(f"after {name}")
            except Crash:
                # Rule 2: nobody is left to close what was just opened.
                if _is_open(result):
                    cast("Any", result).__exit__(None, None, None)
                raise
            return result

        return call

    def wrap(self, thing: T) -> T:
        """The same object, with points before and after each call of its methods.

        A context manager that a method returns, like a storage's `Writer`, is
        wrapped as well. Attributes that cannot be called are passed on as they are.
        """
        return cast("T", _Wrapped(thing, self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Swallow the crash, and nothing else."""
        return error is not None and is_crash(error)


class _Wrapped:
    def __init__(self, thing: Any, point: CrashPoint) -> None:
        self._thing = thing
        self._point = point

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if not callable(found):
            return found
        guarded = self._point.guard(found)
        if inspect.iscoroutinefunction(found):
            return guarded

        def call(*args: Any, **kwargs: Any) -> Any:
            result = guarded(*args, **kwargs)
            return self._point.wrap(result) if _is_open(result) else result

        return call

    def __enter__(self) -> Self:
        self._thing.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._thing.__exit__(*error)


def _is_open(result: object) -> bool:
    # A Path has an `__exit__` until Python 3.13, without any meaning.
    return hasattr(result, "__exit__") and not isinstance(result, PurePath)


def is_crash(error: BaseException) -> bool:
    """Whether this is a `Crash`, or a group of nothing but crashes."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_crash(inner) for inner in error.exceptions)
    return isinstance(error, Crash)


def crash_points(first: int = 0) -> Iterator[CrashPoint]:
    """Every crash point of a run that is repeated for each, from number `first` on.

    The last one is never reached: its run gets through. Raises `RuntimeError`
    when a run has no end.
    """
    for at in range(first, TOO_MANY):
        point = CrashPoint(at)
        yield point
        if not point.is_reached:
            return
    raise RuntimeError(f"still crashing at point {TOO_MANY}: the run has no end")
