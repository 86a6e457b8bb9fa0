"""A crash stops a run at one point, for good, and the loop visits every point."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from wherry.core.ranges import Range
from wherry.testing.faults import Crash, CrashPoint, crash_points, is_crash
from wherry.testing.memory.storage import MemoryStorage

UPLOAD = "u" * 22


class Book:
    """Writes down what took effect."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.closed = 0
        self.name = "book"

    def write(self, line: str) -> str:
        self.lines.append(line)
        return line

    async def send(self, line: str) -> str:
        await asyncio.sleep(0)
        self.lines.append(line)
        return line

    def open(self) -> Page:
        return Page(self)

    def path(self) -> Path:
        return Path("/book")

    def pages(self) -> Iterator[int]:
        yield from range(3)


class Page:
    def __init__(self, book: Book) -> None:
        self.book = book

    def write(self, line: str) -> None:
        self.book.lines.append(line)

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.book.closed += 1


def test_every_call_is_stopped_before_and_after_it_took_effect() -> None:
    seen = []
    for point in crash_points():
        book = Book()
        with point:
            wrapped = point.wrap(book)
            wrapped.write("a")
            wrapped.write("b")
        seen.append((book.lines, point.is_reached))
    assert seen == [
        ([], True),
        (["a"], True),
        (["a"], True),
        (["a", "b"], True),
        (["a", "b"], False),
    ]


def test_calls_of_all_wrapped_objects_are_counted_together() -> None:
    seen = []
    for point in crash_points():
        one, two = Book(), Book()
        with point:
            point.wrap(one).write("a")
            point.wrap(two).write("b")
            point.guard(one.write)("c")
        seen.append(one.lines + two.lines)
    assert seen == [[], ["a"], ["a"], ["a", "b"], ["a", "b"], ["a", "c", "b"], ["a", "c", "b"]]


@pytest.mark.anyio
async def test_coroutines_crash_when_they_are_awaited() -> None:
    seen = []
    for point in crash_points():
        book = Book()
        with point:
            assert await point.wrap(book).send("a") == "a"
        seen.append(book.lines)
    assert seen == [[], ["a"], ["a"]]


def test_the_dead_change_nothing_any_more() -> None:
    book, point = Book(), CrashPoint(1)
    wrapped = point.wrap(book)
    with point:
        try:
            wrapped.write("a")
        finally:
            wrapped.write("last words")
    with pytest.raises(Crash):
        wrapped.write("b")
    assert book.lines == ["a"]


@pytest.mark.anyio
async def test_other_tasks_and_threads_die_too() -> None:
    book, point = Book(), CrashPoint(0)
    wrapped = point.wrap(book)
    with point:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(wrapped.send("a"))
                group.create_task(asyncio.to_thread(wrapped.write, "b"))
    assert point.is_reached
    assert book.lines == []


def test_what_a_method_opens_is_wrapped_and_let_go() -> None:
    seen = []
    for point in crash_points():
        book = Book()
        with point, point.wrap(book).open() as page:
            page.write("a")
        seen.append((book.lines, book.closed))
    assert seen == [([], 0), ([], 1), ([], 1), (["a"], 1), (["a"], 1)]


def test_values_are_passed_on_as_they_are() -> None:
    wrapped = CrashPoint(100).wrap(Book())
    assert wrapped.name == "book"
    assert isinstance(wrapped.path(), Path)
    assert list(wrapped.pages()) == [0, 1, 2]


def test_only_a_crash_is_swallowed() -> None:
    with pytest.raises(ValueError, match="a bug"), CrashPoint(0):
        raise ValueError("a bug")
    crash, bug = Crash(), ValueError("a bug")
    assert is_crash(BaseExceptionGroup("", [crash, BaseExceptionGroup("", [crash])]))
    assert not is_crash(BaseExceptionGroup("", [crash, bug]))
    assert not isinstance(crash, Exception)


def test_a_crash_point_describes_its_call() -> None:
    point = CrashPoint(1)
    assert "never reached" in str(point)
    with point:
        point.wrap(Book()).write("a")
    assert "after Book.write" in str(point)


def test_a_run_without_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wherry.testing.faults.TOO_MANY", 3)

    def never_ends() -> None:
        for point in crash_points():
            with point:
                while True:
                    point.reach("again")

    with pytest.raises(RuntimeError, match="no end"):
        never_ends()


def test_a_lock_of_a_dead_run_is_released(tmp_path: Path) -> None:
    """As the kernel releases it, so that the next run finds the range free."""
    for point in crash_points():
        storage = MemoryStorage()
        storage.check()
        storage.reserve(UPLOAD, 10)
        with point, point.wrap(storage).open(UPLOAD, Range(0, 10)) as writer:
            writer.write(0, memoryview(b"0123456789"))
            writer.sync()
        with storage.open(UPLOAD, Range(0, 10)):
            pass
