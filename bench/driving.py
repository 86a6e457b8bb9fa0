"""Runs the driver, the C program that uploads, against a server."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.peers import Dialect
from bench.processes import Running
from bench.workloads import TIMEOUT, Workload


class Failed(Exception):
    """A server did not take a workload; the text says what happened."""


@dataclass(frozen=True)
class Uploaded:
    """One upload: its number, what the server calls it, and how long it took, in seconds."""

    number: int
    seconds: float
    finishing: float
    identifier: str


@dataclass(frozen=True)
class Driven:
    """A workload that was driven: its wall time, and the CPU time of the driver, in seconds."""

    seconds: float
    cpu_seconds: float
    uploads: list[Uploaded]


def drive(
    driver: Path, source: Path, server: Running, dialect: Dialect, workload: Workload
) -> Driven:
    """Upload everything. Raises `Failed`."""
    uploads = server.log.with_name("uploads")
    options = {
        "port": server.port,
        "dialect": dialect.name,
        "base": dialect.base,
        "source": source,
        "uploads": uploads,
        "count": workload.count,
        "size": workload.size,
        "request": workload.request,
        "connections": workload.connections,
        "step": step(workload),
        "rate": workload.rate,
        "timeout": TIMEOUT,
    }
    command = [str(driver)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    # The driver ends itself in time; the second limit is for one that hangs.
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT + 30, check=False
    )
    try:
        result = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"the driver ended with {done.returncode}: {done.stderr}") from None
    if "problem" in result:
        raise Failed(f"{result['problem']}\n{server.end_of_log()}")
    found = []
    for line in uploads.read_text().splitlines():
        number, seconds, finishing, identifier = line.split("\t")
        found.append(Uploaded(int(number), float(seconds), float(finishing), identifier))
    return Driven(result["seconds"], result["cpu_seconds"], found)


def step(workload: Workload) -> int:
    """How far apart the bytes of two uploads begin in the source."""
    return min(workload.size, 1 << 20)


def source_size(workload: Workload) -> int:
    """How many bytes the source needs for this workload."""
    return (workload.count - 1) * step(workload) + workload.size
