"""A simulated way to a server, and a plan that is played on it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from wherry.client.backoff import Backoff
from wherry.client.chunk_size import ChunkSize, NetworkPath
from wherry.client.errors import (
    ClientError,
    ConnectionLost,
    NoRoom,
    NotConnected,
    ServerFailed,
    TimedOut,
    TooLarge,
)
from wherry.client.plan import Chunk, Plan
from wherry.client.ranges import merge
from wherry.core.limits import MiB
from wherry.core.ranges import Range

REFUSED = TooLarge("no")
RESET = ConnectionLost("reset", retryable=True)
FAILED = ServerFailed("no", retryable=True)


@dataclass
class Network:
    """A way to a server, with a limit for bodies and a list of what goes wrong on it."""

    limit: int
    troubles: list[str] = field(default_factory=list)
    resets: bool = False  # how the limit shows itself
    arrived: list[Range] = field(default_factory=list)
    tried: list[Range] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def carry(self, sent: Range) -> ClientError | None:
        self.tried.append(sent)
        if len(sent) > self.limit:
            self.refused.append(len(sent))
            return RESET if self.resets else REFUSED
        trouble = self.troubles.pop() if self.troubles else "none"
        if trouble in ("none", "answer lost"):
            self.arrived = merge([*self.arrived, sent])
        errors: dict[str, ClientError | None] = {
            "none": None,
            "answer lost": RESET,
            "reset": RESET,
            "failed": FAILED,
            "refused connection": NotConnected("no", retryable=True),
            "timed out": TimedOut("no", retryable=True),
            "too many": ServerFailed("no", retryable=True, retry_after=3.0),
            "no room": NoRoom("no", retryable=True, retry_after=5.0),
        }
        return errors[trouble]


TROUBLES = ["none", "answer lost", "reset", "failed", "refused connection", "timed out"]
TROUBLES += ["too many", "no room"]


def play(plan: Plan, network: Network, seconds: Callable[[], float] = lambda: 1.0) -> float:
    """Send everything; each request takes `seconds()`. Returns when it was done."""
    now, order = 0.0, 0
    flying: list[tuple[float, int, Chunk]] = []
    while not plan.is_done:
        while (chunk := plan.next(now)) is not None:
            order += 1
            heapq.heappush(flying, (now + seconds(), order, chunk))
            check_flight([flown.range for _, _, flown in flying], plan.size)
        if not flying and plan.must_look:
            now = max(now, plan.backoff.until)
            plan.looked(network.arrived)
            continue
        if not flying:
            assert plan.backoff.until > now, "nothing flies, and nothing is waited for"
            now = plan.backoff.until
            continue
        now, _, landed = heapq.heappop(flying)
        error = network.carry(landed.range)
        if error is None:
            plan.passed(landed, now)
        else:
            plan.failed(landed, error, now, jitter=1.0)
    return now


def check_flight(ranges: list[Range], size: ChunkSize) -> None:
    assert len(ranges) <= 4
    assert sum(not size.is_proven(len(sent)) for sent in ranges) <= 1, "two trials at once"
    assert sum(map(len, merge(ranges))) == sum(map(len, ranges)), "two requests for one byte"


def known(passed: int = 5 * MiB) -> ChunkSize:
    """The size of chunks where requests of this size have passed, on a fast line."""
    return ChunkSize(NetworkPath(passed=passed, pace=passed))


def a_plan(
    length: int,
    size: ChunkSize | None = None,
    missing: list[Range] | None = None,
    patience: float = 300.0,
) -> Plan:
    whole = [Range(0, length)] if missing is None else missing
    return Plan(length, whole, size or ChunkSize(), 4, Backoff(patience))
