"""A server in processes of its own: started, measured by what /proc says, and ended.

Rule 1: only processes that this module started are ended, by their ids.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

START_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0
_TICK = os.sysconf("SC_CLK_TCK")


class NotStarted(Exception):
    """A server did not start; the text has the end of its log."""


class Running:
    """A server that runs: its process, port and log."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.pid = process.pid
        self.port = port
        self.log = log
        self._process = process

    def pids(self) -> list[int]:
        """Its process and all that descend from it."""
        return _tree(self.pid)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def cpu_seconds(self) -> float:
        """What the processes have used so far, with their children that have ended."""
        return sum(_cpu_ticks(pid) for pid in self.pids()) / _TICK

    def peak_memory(self, pids: Sequence[int]) -> int:
        """The sum of the peaks of these processes' resident memory, in bytes."""
        return sum(_peak_memory(pid) for pid in pids)

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def stop(self) -> None:
        """End it with SIGTERM, and what is left after a while with SIGKILL."""
        pids = self.pids()
        if not self.has_ended():
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        for pid in pids:
            if pid == self.pid and self.has_ended():
                continue  # the id may already be that of another process
            if pid == self.pid or _session(pid) == self.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    log: Path,
    ready: Callable[[Running], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Start a server, wait until `ready`, and stop it at the end. Raises `NotStarted`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    started = Running(process, port, log)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready(started):
            if started.has_ended() or time.monotonic() > deadline:
                said = started.end_of_log().strip()
                last = said.rpartition("\n")[2]
                raise NotStarted(f"it did not start: {last}\n{said}")
            time.sleep(0.02)
        yield started
    finally:
        started.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int, path: str) -> int | None:
    """The status of the answer to a GET request; None if there is no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _session(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def _cpu_ticks(pid: int) -> int:
    # utime, stime, and both of the children that were waited for
    return sum(int(field) for field in _stat(pid)[11:15])


def _peak_memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
