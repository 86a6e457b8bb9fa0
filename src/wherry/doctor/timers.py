"""Requests that are held open, to find the timers of what lies on the path.

Three at once, beside all other probes: one whose body stops in the middle, one whose body comes
slowly, and one whose answer takes long.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from wherry.core.limits import KiB
from wherry.doctor.address import Address
from wherry.doctor.exchange import Ask, Line
from wherry.doctor.measured import Timers
from wherry.doctor.probing import PATH
from wherry.doctor.reading import is_wherrys
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending

#: The body that does not come to its end: as long as a client's first chunk, because Caddy ends no
#: body of up to 256 KiB; the shorter one where that is refused. And what is sent of it at once.
_BODY, _SHORTER, _SENT = 512 * KiB, 64 * KiB, 16 * KiB
#: Of the slow body: seconds between two bytes.
_GAP = 0.5
#: Timers that end sooner are no timers.
_LEAST = 1.0


def watch_timers(
    pool: Executor, address: Address, spending: Spending, kind: tuple[str, str]
) -> Callable[[], Timers]:
    """Begin to watch, with bodies whose header is `kind`.

    The function that is returned waits for what was found.
    """
    watched = min(max(spending.left() - 2.0, 0.0), 29.0)
    if watched < 2 * _LEAST:
        return Timers
    wait = f"{PATH}?wait={watched:.1f}"
    asks = (
        Ask(length=_BODY, sends=_SENT, headers=[kind], waits=watched),
        Ask(length=_BODY, sends=int(watched / _GAP), gap=_GAP, headers=[kind], waits=0.1),
        Ask(path=wait, length=1, headers=[kind], waits=watched + 2.0),
    )
    tasks = [pool.submit(_hold, address, ask, spending) for ask in asks]

    def result() -> Timers:
        idle, whole, answer = (ended_by_somebody_else(task.result()) for task in tasks)
        return Timers(idle, whole, answer, round(watched, 1))

    return result


def _hold(address: Address, ask: Ask, spending: Spending) -> Reply:
    with Line(address, spending) as line:
        reply = line.exchange(ask)
        if ask.length == _BODY and reply.at < _LEAST and not is_wherrys(reply):
            line.close()
            reply = line.exchange(replace(ask, length=_SHORTER))
        return reply


def ended_by_somebody_else(reply: Reply) -> float | None:
    """After how many seconds something on the path ended the request; None: nothing did."""
    if reply.end in (End.TIMEOUT, End.UNREACHABLE, End.GARBLED) or is_wherrys(reply):
        return None
    return round(reply.at, 1) if reply.at >= _LEAST else None
