"""The benchmark itself, with a few MiB: it measures real servers, and compares what they stored."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench.longway import ROUND_TRIP_MS, find_missing
from bench.native import find_compiler
from bench.peers import Peer, Way
from bench.peers.cserver import CServer
from bench.peers.wherry import Wherry
from bench.results import Results
from bench.run import FOLDER, NoSpace, Plan, Run, remove_abandoned
from bench.workloads import WORKLOADS, Entry, Workload
from tests.parts import need

TINY = 0.004
WHERRY = Wherry(sys.executable, "power-loss")
BY_KEY = {workload.key: workload for workload in WORKLOADS}


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[dict[str, Path]]:
    need(sys.platform == "linux", "Linux")
    need(find_compiler() is not None, "a C compiler (cc)")
    made = {name: tmp_path / name for name in ("cache", "disk", "memory")}
    for folder in made.values():
        folder.mkdir()
    yield made
    for name in ("disk", "memory"):
        assert list(made[name].iterdir()) == [], "the run left something behind"


def run(folders: dict[str, Path], workloads: list[Workload], *peers: Peer) -> tuple[Run, Results]:
    plan = Plan(workloads, servers=(), others=(), rounds=1, volume=TINY, **folders)
    begun = Run(plan, {peer.key: peer for peer in peers})
    return begun, begun.measure()


def workload(key: str, *entries: tuple[Peer, Way]) -> Workload:
    return replace(BY_KEY[key], entries=tuple(Entry(peer.key, way) for peer, way in entries))


def test_a_run_measures_wherry_and_the_c_server(folders: dict[str, Path], tmp_path: Path) -> None:
    c = CServer()
    workloads = [
        workload("a", (WHERRY, Way.CHUNKS), (c, Way.CHUNKS)),
        workload("c", (WHERRY, Way.ONE), (WHERRY, Way.CHUNKS), (c, Way.ONE)),
        workload("finish-100", (WHERRY, Way.JOIN)),
    ]
    begun, results = run(folders, workloads, WHERRY, c)
    assert begun.wrong == []
    rows = [row for table in results.tables for row in table.rows]
    assert [len(row.measurements) for row in rows] == [1] * 6, [row.problem for row in rows]
    for row in rows:
        (found,) = row.measurements
        assert found.bytes > 0
        assert found.seconds > 0
        assert found.peak_memory > 0
    assert rows[-1].median("finishing ms") is not None
    file = tmp_path / "results.json"
    results.write(file)
    assert Results.read(file) == results


def test_many_clients_that_begin_at_the_same_moment_are_not_refused(
    folders: dict[str, Path],
) -> None:
    """More than the default of `max_requests` lets begin at once."""
    slow = replace(workload("slow", (WHERRY, Way.CHUNKS)), size=1000, count=999, connections=600)
    begun, results = run(folders, [replace(slow, rate=0)], WHERRY)
    assert begun.wrong == [], results.tables[0].rows[0].problem


def test_chunks_and_one_request_go_the_long_way_through_tls(folders: dict[str, Path]) -> None:
    need(find_missing() is None, "nginx and openssl")
    workloads = [workload("chunks-far", (WHERRY, Way.CHUNKS), (WHERRY, Way.ONE))]
    begun, results = run(folders, workloads, WHERRY)
    assert begun.wrong == []
    for row in results.tables[0].rows:
        # Two round trips at least: for TLS, and for the request.
        assert row.measurements[0].seconds > 2 * ROUND_TRIP_MS / 1000, row.problem


def test_the_connections_of_a_long_way_share_its_rate(folders: dict[str, Path]) -> None:
    need(find_missing() is None, "nginx and openssl")
    slow = replace(
        workload("chunks-far-gigabit", (WHERRY, Way.CHUNKS)), rate=2_000_000, request=500_000
    )
    begun, results = run(folders, [slow], WHERRY)
    assert begun.wrong == []
    (found,) = results.tables[0].rows[0].measurements
    assert found.bytes / found.seconds < 1.1 * slow.rate


def test_a_run_that_does_not_fit_on_the_disk_is_not_begun(folders: dict[str, Path]) -> None:
    huge = replace(BY_KEY["a"], size=1 << 60)
    with pytest.raises(NoSpace, match="--volume"):
        run(folders, [huge], CServer())


def test_folders_of_a_run_that_was_killed_are_removed(folders: dict[str, Path]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = folders["disk"] / f"{FOLDER}{ended.pid}-disk"
    running = folders["disk"] / f"{FOLDER}{os.getppid()}-disk"
    abandoned.mkdir()
    running.mkdir()
    remove_abandoned(folders["disk"])
    assert not abandoned.exists()
    running.rmdir()


def test_a_server_that_changes_one_byte_fails_the_run(folders: dict[str, Path]) -> None:
    corrupting = CServer(corrupts=True)
    begun, results = run(folders, [workload("a", (corrupting, Way.CHUNKS))], corrupting)
    (sentence,) = begun.wrong
    assert "differs at byte" in sentence
    (row,) = results.tables[0].rows
    assert row.measurements == []


def test_a_server_that_cannot_be_installed_is_left_out_by_name(folders: dict[str, Path]) -> None:
    missing = Wherry(str(folders["cache"] / "python"), "power-loss", build="missing")
    c = CServer()
    workloads = [workload("a", (missing, Way.CHUNKS), (c, Way.CHUNKS))]
    begun, results = run(folders, workloads, missing, c)
    assert begun.wrong == []
    assert list(results.left_out) == [missing.title]
    (row,) = results.tables[0].rows
    assert len(row.measurements) == 1


def test_a_quick_run_without_tusd_stops_with_the_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--cache", str(tmp_path)],
        env={"PATH": str(tmp_path)},  # there is no Go
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing to compare with, because tusd cannot be installed" in done.stderr
