"""The examination of an address: which requests are made, in which order.

Rule 1: at most four requests at once: one after the other for everything but the timers, which are
waited for meanwhile.

Rule 2: what matters most comes first. A step for which no time is left is left out, and what it
would have found stays None.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from wherry import __version__
from wherry.doctor import tls
from wherry.doctor.address import Address
from wherry.doctor.exchange import Line
from wherry.doctor.measured import Measured, Spent
from wherry.doctor.probing import Probing
from wherry.doctor.reading import (
    describe,
    find_proxies,
    find_who_refuses,
    is_authorised,
    is_wherrys,
    skew,
)
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import MOST_BYTES, MOST_SECONDS, Spending
from wherry.doctor.timers import watch_timers

#: What is left of the time for the start of the program, answers on their way, and the report.
RESERVE = 5.0

Say = Callable[[str], None]


def examine(
    address: Address,
    seconds: float = MOST_SECONDS,
    origin: str | None = None,
    say: Say = lambda _: None,
    watches: bool = True,
) -> Measured:
    """`origin`: of a page that uploads, to ask about CORS; None: of the address itself. `say` is
    called with each step.

    `watches`: whether to wait for timers, which takes all of the time.
    """
    spending = Spending(MOST_BYTES, seconds - min(RESERVE, seconds / 4))
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    measured = Measured(address.url, at, __version__, host_sent=address.authority)
    with Line(address, spending) as line:
        say(f"asking {address.url}")
        probe = Probing(address, line, spending)
        usual = probe.small()
        answered_at = time.time()
        measured = replace(
            measured,
            tls=tls.measure(address, spending),
            is_wherry=is_wherrys(usual),
            is_authorised=is_authorised(usual),
            has_login=address.has_login,
            status=usual.status,
            skew=skew(usual, answered_at),
        )
        if usual.end is not End.ANSWER:
            measured = replace(measured, problem=usual.problem or describe(usual))
        else:
            measured = _measure(measured, probe, usual, spending, origin, say, watches)
    spent = Spent(spending.bytes, spending.requests, round(spending.seconds(), 2))
    return replace(measured, spent=spent)


def _measure(  # noqa: PLR0917 - it is called once
    measured: Measured,
    probe: Probing,
    usual: Reply,
    spending: Spending,
    origin: str | None,
    say: Say,
    watches: bool,
) -> Measured:
    with ThreadPoolExecutor(3, thread_name_prefix="wherry-doctor") as pool:
        watching = None
        if watches and measured.is_authorised:
            watching = watch_timers(pool, probe.address, spending, probe.kind)
        say("looking for the largest body that passes")
        limit, refusal = probe.limit()
        proxies = find_proxies(usual, refusal)
        if refusal is not None and limit.refusal is not None:
            by = find_who_refuses(refusal, proxies)
            limit = replace(limit, refusal=replace(limit.refusal, by=by))
        measured = replace(measured, limit=limit, proxies=proxies)
        steps: list[tuple[str, Callable[[], dict[str, Any]]]] = []
        if measured.is_authorised:
            steps += [
                ("whether bodies are collected before they are passed on", probe.buffering),
                ("methods, types and headers", probe.variety),
                ("interim answers", probe.interim),
                ("bodies of unknown length", probe.chunked),
            ]
        steps += [
            ("HTTP/2", lambda: probe.http2(limit)),
            ("CORS", lambda: probe.cors(origin, limit)),
        ]
        for what, step in steps:
            if spending.left() > 1.0:
                say(f"trying {what}")
                measured = replace(measured, **step())
        if watching is not None:
            say("waiting for timers")
            measured = replace(measured, timers=watching())
    return measured
