"""Measures what many records slow down: lists, storage, the sweep, and other requests meanwhile.

    .venv/bin/python bench/scale.py [RECORDS]

It writes RECORDS (100,000 by default) complete uploads of ten owners, with their assessments,
into the catalog of a new data folder, and starts a server there. It times single requests first,
then requests while four clients read the list of all uploads and one client sends chunks.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from wherry.app import App
from wherry.auth import Keys, keys_file
from wherry.core.limits import KiB, MiB
from wherry.settings import Settings
from wherry.testing.catalog.many import fill
from wherry.testing.server import Server, serving

OWNERS = 10
TIMES = 20
#: How long the second part takes, in seconds; how many clients read the list.
BUSY = 20.0
READERS = 4
CHUNK = bytes(64 * KiB)
PATH = "/api/chunked-upload"


class Caller:
    """One client with one connection."""

    def __init__(self, server: Server, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def following(self, path: str) -> str | None:
        """Request a page of a list. Returns the path of the next page; None after the last one."""
        cursor = json.loads(b'{"next":' + self.ask(path).rpartition(b'"next":')[2])["next"]
        return None if cursor is None else f"{path.partition('&after')[0]}&after={cursor}"


def timed(act: Callable[[], object]) -> float:
    """How long `act` takes, in milliseconds."""
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def print_row(what: str, took: list[float]) -> None:
    """A row of the table; `took` in milliseconds. From 100 values on, the worst one is the p99."""
    took.sort()
    worst = took[-1] if len(took) < 100 else took[int(len(took) * 0.99)]
    name = "max" if len(took) < 100 else "p99"
    print(f"| {what} | {statistics.median(took):.1f} ms | {name} {worst:.1f} ms | {len(took)} |")


def memory_of(pid: int, what: str) -> float:
    """The memory of a process in MiB: now (VmRSS), or its peak (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) * KiB / MiB


async def sweeps(folder: Path) -> list[float]:
    """How long sweeps take when nothing is due, in milliseconds.

    `keep_files` is set, because the sweep then searches for finished files, too.
    """
    took = []
    async with App(Settings(data=folder, keep_files=1e9)).beside() as engine:
        for _ in range(TIMES):
            begun = time.perf_counter()
            await engine.sweep()
            took.append((time.perf_counter() - begun) * 1000)
    return took


def alone(server: Server, key: str) -> None:
    """Time requests one after the other, without other load."""
    caller = Caller(server, key)
    second = str(caller.following(f"{PATH}/all?limit=100"))
    for what, path in (
        ("all uploads, first page", f"{PATH}/all"),
        ("all uploads, second page", second),
        ("all uploads, newest page", f"{PATH}/all?order=newest"),
        ("all uploads, page of 1,000", f"{PATH}/all?limit=1000"),
        ("uploads of one owner, first page", f"{PATH}/"),
        ("unfinished uploads of one owner", f"{PATH}/?state=waiting,receiving,completing"),
        ("storage", f"{PATH}/storage"),
        ("metrics", f"{PATH}/metrics"),
        ("status of one upload", f"{PATH}/{0:032x}"),
        ("/healthz", "/healthz"),
    ):
        print_row(what, [timed(partial(caller.ask, path)) for _ in range(TIMES)])


def together(server: Server, key: str) -> None:
    """Time requests of several clients at the same time."""
    end = time.monotonic() + BUSY
    took: dict[str, list[float]] = {"/healthz": [], "a chunk of 64 KiB": [], "a page of 1,000": []}

    def read_list() -> None:
        caller, path = Caller(server, key), f"{PATH}/all?limit=1000"
        while time.monotonic() < end:
            here: str | None = path
            while here is not None and time.monotonic() < end:
                begun = time.perf_counter()
                here = caller.following(here)
                took["a page of 1,000"].append((time.perf_counter() - begun) * 1000)

    def send() -> None:
        caller, offset = Caller(server, key), 0
        wanted = json.dumps({"filename": "film.mp4", "size": 1 << 30}).encode()
        upload_id = json.loads(caller.ask(f"{PATH}/init", "POST", wanted))["upload_id"]
        while time.monotonic() < end:
            path = f"{PATH}/chunk?upload_id={upload_id}&offset={offset}"
            took["a chunk of 64 KiB"].append(timed(partial(caller.ask, path, "POST", CHUNK)))
            offset += len(CHUNK)
        caller.ask(f"{PATH}/{upload_id}", "DELETE")

    def check_health() -> None:
        caller = Caller(server, key)
        while time.monotonic() < end:
            took["/healthz"].append(timed(lambda: caller.ask("/healthz")))
            time.sleep(0.02)

    threads = [threading.Thread(target=act) for act in (*[read_list] * READERS, send, check_health)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for what, times in took.items():
        print_row(f"{what}, with {READERS} readers and a sender", times)


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as name:
        folder = Path(name) / "data"
        folder.mkdir()
        key = Keys(keys_file(folder)).add("owner-0", operator=True)
        seconds = timed(lambda: fill(folder / "catalog.sqlite", records, OWNERS)) / 1000
        print(f"{records:,} records written in {seconds:.1f} s\n")
        print("| request | median | worst | count |")
        print("|---|---|---|---|")
        with serving(folder, assessment=False) as server:
            alone(server, key)
            begun = memory_of(server.pid, "VmRSS")
            together(server, key)
            print_row("a sweep", asyncio.run(sweeps(folder)))
            most = memory_of(server.pid, "VmHWM")
            print(f"\nthe server's memory: {begun:.0f} MiB before the load, {most:.0f} MiB at peak")


if __name__ == "__main__":
    main()
