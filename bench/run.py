"""A whole run: every workload, its servers in turn, round after round.

Rule 1: servers are interleaved (A B C A B C), so that what else the machine does disturbs all.
Rule 2: a server that fails is named with the reason, and the others go on.
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.comparing import WrongBytes
from bench.driving import Failed, source_size
from bench.longway import find_missing
from bench.machine import find_shape
from bench.measuring import Bench, spread_folders
from bench.native import build_driver
from bench.peers import NotInstalled, Peer
from bench.peers.wherry import BUILD
from bench.processes import NotStarted
from bench.results import Results, Row, Table
from bench.source import make_source
from bench.tables import COLUMNS, render_figure, render_title
from bench.workloads import Entry, Workload

#: Begins the names of the run's own folders, on the disk and on the tmpfs; its process id follows.
FOLDER = "wherry-bench-"


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and where."""

    workloads: Sequence[Workload]
    servers: Sequence[str]
    """Keys, or beginnings of keys that end before a slash; all if empty."""
    others: Sequence[str]
    """Names of other builds of Wherry."""
    rounds: int
    volume: float
    cache: Path
    disk: Path
    memory: Path


class NoSpace(Exception):
    """A folder has too little free space."""


class Run:
    """`wrong`: what makes the whole run fail, as sentences."""

    def __init__(self, plan: Plan, peers: Mapping[str, Peer]) -> None:
        self._plan = plan
        self._peers = dict(peers)
        self.wrong: list[str] = []

    def measure(self) -> Results:
        """Raises `NoCompiler` if the driver cannot be built, `NoSpace` if a folder is too small."""
        plan = self._plan
        driver = build_driver(plan.cache)
        workloads = [workload.scaled(plan.volume) for workload in plan.workloads]
        plan.disk.mkdir(parents=True, exist_ok=True)
        for folder, needed in (
            (plan.disk, disk_needed(workloads)),
            (plan.memory, memory_needed(workloads)),
        ):
            check_space(folder, needed)
        folders = [
            above / f"{FOLDER}{os.getpid()}-{what}"
            for above, what in ((plan.disk, "disk"), (plan.memory, "memory"))
        ]
        try:
            for folder in folders:
                remove_abandoned(folder.parent)
                folder.mkdir(parents=True)
            spread_folders(folders[0])
            results = self._prepare(folders[0])
            source = folders[1] / "source"
            make_source(source, max(map(source_size, workloads)))
            bench = Bench(plan.cache, folders[0], folders[1], source, driver)
            for workload in workloads:
                results.tables.append(self._run_workload(bench, workload, results))
        finally:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
        return results

    def _prepare(self, disk: Path) -> Results:
        wanted = {
            entry.server for workload in self._plan.workloads for entry in self._entries(workload)
        }
        results = Results(
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            machine=find_shape(disk),
            rounds=self._plan.rounds,
            volume=self._plan.volume,
            versions={},
            titles={},
            lacks={},
        )
        for key in [key for key in self._peers if key in wanted]:
            peer = self._peers[key]
            try:
                results.versions[key] = peer.install(self._plan.cache)
                results.titles[key] = peer.title
                results.lacks[key] = peer.lacks
            except NotInstalled as reason:
                results.left_out[peer.title] = str(reason)
                print(f"left out: {peer.title}: {reason}", flush=True)
        return results

    def _entries(self, workload: Workload) -> Iterable[Entry]:
        """The servers of a workload that were asked for, with those of other builds."""
        for entry in workload.entries:
            build, _, rest = entry.server.partition("/")
            names = [build, *self._plan.others] if build == BUILD else [build]
            for name in names:
                key = f"{name}/{rest}" if rest else name
                if not self._plan.servers or any(
                    key == asked or key.startswith(f"{asked}/") for asked in self._plan.servers
                ):
                    yield Entry(key, entry.way)

    def _run_workload(self, bench: Bench, workload: Workload, results: Results) -> Table:
        table = Table(
            workload.key, workload.title, workload.explanation, workload.figure, workload.base
        )
        if workload.long_way and (missing := find_missing()):
            results.left_out[workload.title] = missing
            print(f"\nleft out: {workload.title}: {missing}", flush=True)
            return table
        for entry in self._entries(workload):
            if entry.server in results.versions and entry.way in self._peers[entry.server].speaks:
                table.rows.append(Row(entry.server, entry.way))
        print(f"\n{workload.key}: {workload.title}", flush=True)
        for number in range(self._plan.rounds):
            for row in table.rows:
                if row.problem is None:
                    title = render_title(row, table, results)
                    label = f"  {number + 1}/{self._plan.rounds} {title}"
                    self._measure(bench, workload, row, label)
        return table

    def _measure(self, bench: Bench, workload: Workload, row: Row, label: str) -> None:
        peer = self._peers[row.server]
        begun = time.monotonic()
        try:
            measurement = bench.measure(peer, row.way, workload)
        except (Failed, NotStarted) as error:
            # Published, so without the paths of this machine.
            row.problem = str(error).splitlines()[0].replace(str(self._plan.disk), "…")
            print(f"{label}: failed: {error}", flush=True)
            if row.server.startswith(f"{BUILD}/"):
                self.wrong.append(f"{peer.title} failed in workload {workload.key}: {row.problem}")
            return
        except WrongBytes as error:
            row.problem = f"wrong bytes: {error}"
            print(f"{label}: WRONG BYTES: {error}", flush=True)
            self.wrong.append(
                f"{peer.title} stored wrong bytes in workload {workload.key}: {error}"
            )
            return
        row.measurements.append(measurement)
        latest = Row(row.server, row.way, [measurement])
        cpu = [column for column in COLUMNS[workload.figure] if column.startswith("CPU")]
        shown = ", ".join(
            f"{render_figure(latest.median(figure))} {figure}" for figure in (workload.figure, *cpu)
        )
        took = time.monotonic() - begun
        print(f"{label}: {shown} ({took:.1f} s with start and check)", flush=True)


def remove_abandoned(above: Path) -> None:
    """Remove the folders of runs that were killed."""
    for folder in above.glob(f"{FOLDER}*-*"):
        pid = folder.name.removeprefix(FOLDER).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def disk_needed(workloads: Sequence[Workload]) -> int:
    """The most bytes that a run holds on the disk at a time: many servers store files twice."""
    return 2 * max(workload.size * workload.count for workload in workloads)


def memory_needed(workloads: Sequence[Workload]) -> int:
    """The same for the tmpfs, which also has the source."""
    stored = [2 * workload.size * workload.count for workload in workloads if workload.in_memory]
    return max(map(source_size, workloads)) + max(stored, default=0)


def check_space(folder: Path, needed: int) -> None:
    """Raises `NoSpace`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoSpace(
            f"{folder} has {free / 1e9:.1f} GB free, and this run needs {needed / 1e9:.1f} GB: "
            "choose another folder (--disk, --memory) or a smaller --volume"
        )
