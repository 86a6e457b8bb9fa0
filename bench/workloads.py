"""What is uploaded: how many files, how large, in which requests, over how many connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bench.peers import Way

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30
CHUNK = 5 * MiB
#: 1 Gbit/s, in bytes per second.
GIGABIT = 125_000_000

#: No workload may take longer, in seconds. A server that hangs is ended then.
TIMEOUT = 180


@dataclass(frozen=True)
class Entry:
    """A server in a workload, and how files are sent to it."""

    server: str
    way: Way


class Base(StrEnum):
    """What the ratios of a table are given to."""

    TUSD = "tusd"
    ONE_REQUEST = "one request"
    """The same server, sent the same file in one request."""


@dataclass(frozen=True)
class Workload:
    """`explanation`: what it stands for, for the documentation. `figure`: what tables show first.

    `in_memory`: stored on a tmpfs instead of the disk. `long_way`: through TLS and a delay.
    `rate`: bytes per second of each client, or of the long way; 0: no limit.
    """

    key: str
    title: str
    explanation: str
    count: int
    size: int
    connections: int
    entries: tuple[Entry, ...]
    request: int = CHUNK
    rate: int = 0
    in_memory: bool = False
    long_way: bool = False
    figure: str = "MB/s"
    base: Base = Base.TUSD

    def scaled(self, volume: float) -> Workload:
        """With `volume` times the bytes: fewer small files or slow clients, smaller large files."""
        if self.count >= MANY:
            count = max(4, round(self.count * volume))
            return replace(self, count=count, connections=min(self.connections, count))
        size = max(64 * KiB, round(self.size * volume))
        return replace(self, size=size, request=max(64 * KiB, min(self.request, size)))


#: From this number of files on, a smaller volume means fewer files.
MANY = 1000

#: Servers of `EVERY_WHERRY` and `PEERS` that cannot do a workload are left out of it.
POWER_LOSS, PROCESS_CRASH = "wherry/power-loss", "wherry/process-crash"
ROUTER = "wherry/process-crash/router"
ASSESSING = ("wherry/power-loss/assessment", "wherry/process-crash/assessment")
BY_TUS = ("wherry/power-loss/tus", "wherry/process-crash/tus")
TWO_PROCESSES = ("wherry/power-loss/2-processes", "wherry/process-crash/2-processes")
EVERY_WHERRY = (POWER_LOSS, PROCESS_CRASH, *ASSESSING, *TWO_PROCESSES)
PEERS = ("tusd", "rustus", "tus-node", "tuspyserver", "tussi", "nginx", "recipe", "c")


def _each(way: Way, *servers: str) -> tuple[Entry, ...]:
    return tuple(Entry(server, way) for server in servers)


_SMALL = (
    *_each(Way.ONE, *EVERY_WHERRY, ROUTER),
    *_each(Way.CHUNKS, *EVERY_WHERRY),
    *_each(Way.ONE, *PEERS),
    *_each(Way.CHUNKS, "tusd", "tussi", "recipe"),
)
_LARGE = _each(Way.CHUNKS, POWER_LOSS, PROCESS_CRASH, ROUTER, *BY_TUS, *PEERS)
_LARGE_AT_ONCE = (*_LARGE, *_each(Way.CHUNKS, *TWO_PROCESSES))
_BOTH = tuple(
    Entry(server, way) for server in (POWER_LOSS, PROCESS_CRASH) for way in (Way.CHUNKS, Way.ONE)
)


def _small(key: str, title: str, explanation: str, in_memory: bool) -> Workload:
    return Workload(
        key=key,
        title=f"1,000 files of 100 KiB over four connections, {title}",
        explanation=explanation,
        count=1000,
        size=100 * KiB,
        connections=4,
        entries=_SMALL,
        in_memory=in_memory,
        figure="files/s",
    )


def _joined(key: str, name: str, size: int) -> Workload:
    return Workload(
        key=key,
        title=f"the finishing call of a file of {name}",
        explanation="The request that turns chunks into a file: for tus servers, it joins four "
        "partial uploads; for Wherry, it gives the file its final name. Its time in milliseconds.",
        count=1,
        size=size,
        connections=1,
        entries=_each(Way.JOIN, POWER_LOSS, *BY_TUS, *PEERS),
        figure="finishing ms",
    )


def _halves(
    key: str, title: str, explanation: str, *, long_way: bool = False, rate: int = 0
) -> Workload:
    return Workload(
        key=key,
        title=f"500 MB in 100 chunks and in one request, {title}",
        explanation=explanation,
        count=1,
        size=500_000_000,
        connections=1,
        request=5_000_000,
        entries=_BOTH,
        long_way=long_way,
        rate=rate,
        figure="seconds",
        base=Base.ONE_REQUEST,
    )


WORKLOADS = (
    # First, because ext4 creates files more slowly after many were deleted.
    _small(
        "c-disk",
        "on the disk",
        "The same on the disk, each run in a new folder. `power-loss` syncs every file before it "
        "answers.",
        in_memory=False,
    ),
    Workload(
        key="a",
        title="1 GiB in requests of 5 MiB, one connection",
        explanation="One large file, as a browser or a script sends it in chunks.",
        count=1,
        size=GiB,
        connections=1,
        entries=_LARGE,
    ),
    Workload(
        key="b",
        title="8 files of 128 MiB at once",
        explanation="A few clients with large files at the same time, in requests of 5 MiB.",
        count=8,
        size=128 * MiB,
        connections=8,
        entries=_LARGE_AT_ONCE,
    ),
    _small(
        "c",
        "on a tmpfs",
        "Many small files. On a tmpfs, no disk hides what the server itself costs.",
        in_memory=True,
    ),
    Workload(
        key="d",
        title="100 files of 20 MiB at once",
        explanation="A hundred clients at the same time, each with a connection of its own, in "
        "requests of 5 MiB.",
        count=100,
        size=20 * MiB,
        connections=100,
        entries=_LARGE_AT_ONCE,
    ),
    Workload(
        key="f",
        title="1 GiB in one request",
        explanation="An ordinary upload. If it breaks off, it begins again.",
        count=1,
        size=GiB,
        connections=1,
        request=GiB,
        entries=_each(Way.ONE, POWER_LOSS, PROCESS_CRASH, ROUTER, *BY_TUS, *PEERS),
    ),
    _joined("finish-100", "100 MiB", 100 * MiB),
    _joined("finish-500", "500 MiB", 500 * MiB),
    _joined("finish-2048", "2 GiB", 2 * GiB),
    Workload(
        key="slow",
        title="1,000 clients with 64 KiB/s for 10 s",
        explanation="Clients with slow connections. A server should need little CPU time and "
        "memory for them; the ideal duration is 10 s.",
        count=1000,
        size=640 * KiB,
        connections=1000,
        request=640 * KiB,
        rate=64 * KiB,
        entries=_each(Way.CHUNKS, POWER_LOSS, ROUTER, "tusd", "rustus", "tus-node", "c"),
        figure="CPU s",
    ),
    _halves(
        "chunks",
        "directly",
        "What it costs that a file is sent in chunks, one after the other on one connection.",
    ),
    _halves(
        "chunks-far",
        "through TLS at nginx, with a round trip of 40 ms",
        "The same over a long way: a proxy delays every byte by 20 ms in each direction, and nginx "
        "ends TLS. Four chunks are sent at once, as Wherry's clients do. Only the processors limit "
        "the rate, to several Gbit/s.",
        long_way=True,
    ),
    _halves(
        "chunks-far-gigabit",
        "through TLS at nginx, with a round trip of 40 ms and 1 Gbit/s",
        "The same, and all connections together get 1 Gbit/s in each direction.",
        long_way=True,
        rate=GIGABIT,
    ),
)

_BY_KEY = {workload.key: workload for workload in WORKLOADS}
#: What `--quick` measures: a and c, against tusd and the C server.
QUICK = (
    replace(_BY_KEY["a"], entries=_each(Way.CHUNKS, POWER_LOSS, PROCESS_CRASH, "tusd", "c")),
    replace(
        _BY_KEY["c"],
        entries=(*_each(Way.ONE, POWER_LOSS, "tusd", "c"), *_each(Way.CHUNKS, POWER_LOSS)),
    ),
)
