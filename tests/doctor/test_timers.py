"""Which bodies the doctor waits with for timers, against a line whose answers are recorded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest

from wherry.core.limits import KiB, MiB
from wherry.doctor import timers
from wherry.doctor.address import parse_address
from wherry.doctor.exchange import Ask
from wherry.doctor.limiting import TYPE
from wherry.doctor.measured import Timers
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending

Answer = Callable[[Ask], Reply]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Timers]:
    def watched(answer: Answer) -> Timers:
        class Recorded:
            def __init__(self, *_: Any) -> None: ...

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None: ...

            def close(self) -> None: ...

            def exchange(self, ask: Ask) -> Reply:
                return answer(ask)

        monkeypatch.setattr(timers, "Line", Recorded)
        address = parse_address("https://example.org/api")
        with ThreadPoolExecutor(3) as pool:
            return timers.watch_timers(pool, address, Spending(32 * MiB, 25), TYPE)()

    return watched


def ended(status: int, at: float) -> Reply:
    return Reply(End.ANSWER, status, body=b"<h1>ended</h1>", at=at)


def test_a_timer_that_ends_only_large_bodies_is_found(
    watch: Callable[[Answer], Timers],
) -> None:
    def answer(ask: Ask) -> Reply:
        return ended(504, 5.0) if (ask.length or 0) > 256 * KiB else Reply(End.TIMEOUT, at=20.0)

    found = watch(answer)
    assert (found.idle, found.whole, found.answer) == (5.0, 5.0, None)


def test_where_such_a_body_is_refused_the_timer_is_found_with_a_shorter_one(
    watch: Callable[[Answer], Timers],
) -> None:
    def answer(ask: Ask) -> Reply:
        return ended(413, 0.1) if (ask.length or 0) > 128 * KiB else ended(408, 5.0)

    found = watch(answer)
    assert (found.idle, found.whole, found.answer) == (5.0, 5.0, 5.0)
