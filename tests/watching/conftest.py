"""Servers to watch, and what a scrape of them says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wherry.testing.ports import free_port

#: A server ends in five seconds; a busy machine may need more. Streams last 25 and longer.
ENDS_IN = 20.0
#: For a busy machine, in seconds.
TIMEOUT = 120.0
PROGRAMS = Path(__file__).parent / "programs"
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """A scrape by name and labels; without the label `process`."""
    found = {}
    for name, labels, value in _SAMPLE.findall(text):
        kept = frozenset(pair for pair in _LABEL.findall(labels) if pair[0] != "process")
        found[name, kept] = float(value)
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"wherry_{name}", frozenset(labels.items())]


@dataclass(frozen=True)
class Host:
    """A host application as a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def has_said(self, text: str, times: int = 1) -> bool:
        return self.log.read_text().count(text) >= times

    def stop(self) -> None:
        """SIGTERM; fails where it does not end by itself."""
        self.process.terminate()
        self.process.wait(ENDS_IN)


@contextmanager
def host_under_uvicorn(data: Path, *options: str, workers: int = 1) -> Iterator[Host]:
    """The host application under uvicorn, with all its workers up."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(PROGRAMS), "host:app"]
    command += ["--port", str(port), "--workers", str(workers), *options]
    command += ["--timeout-worker-healthcheck", "60"]
    log = data.parent / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "HOST_DATA": str(data)},
            stdout=output,
            stderr=output,
        )
    host = Host(process, f"http://127.0.0.1:{port}", log)
    try:
        deadline = time.monotonic() + TIMEOUT
        while not (
            host.has_said("Application startup complete", workers)
            and host.has_said("Uvicorn running on")
        ):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield host
    finally:
        process.terminate()  # its workers end with it only if it is asked
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
