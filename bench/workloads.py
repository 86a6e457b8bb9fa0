"""What is uploaded: how many files, how large, in which requests, over how many connections."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.peers import Way

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30
CHUNK = 5 * MiB

#: No workload may take longer, in seconds. A server that hangs is ended then.
TIMEOUT = 180


@dataclass(frozen=True)
class Entry:
    """A server in a workload, and how files are sent to it."""

    server: str
    way: Way


@dataclass(frozen=True)
class Workload:
    """`in_memory`: stored on a tmpfs instead of the disk. `figure`: what a table shows first."""

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
    figure: str = "MB/s"

    def scaled(self, volume: float) -> Workload:
        """With `volume` times the bytes: fewer small files or slow clients, smaller large files."""
        if self.count >= MANY:
            count = max(4, round(self.count * volume))
            return replace(self, count=count, connections=min(self.connections, count))
        size = max(KiB, round(self.size * volume))
        return replace(self, size=size, request=max(64 * KiB, min(self.request, size)))


#: From this number of files on, a smaller volume means fewer files.
MANY = 1000

POWER_LOSS, PROCESS_CRASH = "wherry/power-loss", "wherry/process-crash"
ROUTER = "wherry/process-crash/router"
ASSESSING = ("wherry/power-loss/assessment", "wherry/process-crash/assessment")
EVERY_WHERRY = (POWER_LOSS, PROCESS_CRASH, *ASSESSING)
PEERS = ("tusd", "rustus", "tus-node", "tuspyserver", "tussi", "nginx", "recipe", "c")


def _each(way: Way, *servers: str) -> tuple[Entry, ...]:
    return tuple(Entry(server, way) for server in servers)


_SMALL = (
    *_each(Way.ONE, *EVERY_WHERRY),
    *_each(Way.CHUNKS, *EVERY_WHERRY),
    *_each(Way.ONE, *PEERS),
    *_each(Way.CHUNKS, "tusd", "recipe"),
)
_FILES = "1,000 files of 100 KiB over four connections"

WORKLOADS = (
    Workload(
        key="a",
        title="1 GiB in requests of 5 MiB, one connection",
        explanation="One large file, as a browser or script sends it in chunks.",
        count=1,
        size=GiB,
        connections=1,
        entries=_each(Way.CHUNKS, POWER_LOSS, PROCESS_CRASH, ROUTER, *PEERS),
    ),
    Workload(
        key="c",
        title=f"{_FILES}, on a tmpfs",
        explanation="Many small files. A tmpfs shows what the server itself costs.",
        count=1000,
        size=100 * KiB,
        connections=4,
        entries=_SMALL,
        in_memory=True,
        figure="files/s",
    ),
    Workload(
        key="d",
        title="100 files of 20 MiB at once",
        explanation="A hundred clients at the same time, each with its own connection.",
        count=100,
        size=20 * MiB,
        connections=100,
        entries=_each(Way.CHUNKS, POWER_LOSS, PROCESS_CRASH, ROUTER, *PEERS),
    ),
    Workload(
        key="f",
        title="1 GiB in one request",
        explanation="An ordinary upload, which cannot be resumed.",
        count=1,
        size=GiB,
        connections=1,
        request=GiB,
        entries=_each(Way.ONE, POWER_LOSS, PROCESS_CRASH, *PEERS),
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
