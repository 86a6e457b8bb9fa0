"""Repeats a run and crashes it at another point each time, until every point was tried.

    for point in crash_points():
        with point:
            run(point.wrap(storage), point.wrap(catalog))
        check_what_is_left(storage, catalog)

Each call of a wrapped object has two points: before it takes effect, and after. The loop crashes
a fresh run at the first point, then another at the second, and ends with a run that completes.

Rule 1: a crash is final, like `kill -9`. After it, every call through the same `CrashPoint`, from
any task or thread, raises `Crash` and has no effect. So `finally` blocks and background tasks of
the crashed run change nothing.

Rule 2: what the kernel does for a process that died still happens. Leaving a wrapped context
manager leaves the one inside, so locks are released and files are closed.
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

#: No run here makes so many calls. A loop that gets there would never end.
TOO_MANY = 100_000


class Crash(BaseException):
    """The process ends here. Not an `Exception`, because no handler may catch it and go on."""


class CrashPoint:
    """The point number `at`, counted from 0 over all calls that it wraps or guards."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.is_reached = False
        self._reached = 0
        self._lock = Lock()
        self._where = "never reached"

    def __str__(self) -> str:
        return f"crash point {self.at} ({self._where})"

    def reach(self, where: str) -> None:
        """Count one point, described by `where`. Raises `Crash` at point `at` and after it."""
        with self._lock:
            if not self.is_reached and self._reached == self.at:
                self.is_reached, self._where = True, where
            self._reached += 1
        if self.is_reached:
            raise Crash(str(self))

    def guard(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, synchronous or not, with a point before it and one after it."""
        name = getattr(function, "__qualname__", repr(function))
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                self.reach(f"before {name}")
                result = await function(*args, **kwargs)
                self.reach(f"after {name}")
                return result

            return cast("Callable[P, R]", call_async)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            self.reach(f"before {name}")
            result = function(*args, **kwargs)
            try:
                self.reach(f"after {name}")
            except Crash:
                # Rule 2: the caller never gets this result, so it would never be closed.
                if _is_open(result):
                    cast("Any", result).__exit__(None, None, None)
                raise
            return result

        return call

    def wrap(self, thing: T) -> T:
        """The object, with points before and after each call of its methods.

        A context manager that a method returns, like a storage's `Writer`, is wrapped as well.
        Attributes that cannot be called are returned unchanged.
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
        """Suppress the crash, and no other error."""
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
    # Before Python 3.13, a `Path` has an `__exit__` that does nothing.
    return hasattr(result, "__exit__") and not isinstance(result, PurePath)


def is_crash(error: BaseException) -> bool:
    """Whether this is a `Crash`, or a group of nothing but crashes."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_crash(inner) for inner in error.exceptions)
    return isinstance(error, Crash)


def crash_points(first: int = 0) -> Iterator[CrashPoint]:
    """The crash points, from number `first` on; the caller repeats its run for each.

    The last point is not reached, because its run completes. Raises `RuntimeError` if no run
    ever completes.
    """
    for at in range(first, TOO_MANY):
        point = CrashPoint(at)
        yield point
        if not point.is_reached:
            return
    raise RuntimeError(f"still crashing at point {TOO_MANY}: the run has no end")
