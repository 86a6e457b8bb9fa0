"""Several processes serve at one address as one would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.cli.command import wherry

from wherry.testing.server import Server

#: For a busy machine, in seconds.
TIMEOUT = 60.0
MiB = 1 << 20


class OwnProcess(Server):
    # The usual one in tests is forked, as a daemon, which may have no processes.
    launch = staticmethod(subprocess.Popen)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = OwnProcess(
        tmp_path / "data", processes=3, assessment=False, min_free=0, chunk_size=MiB
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()


def processes_of(server: Server) -> set[int]:
    """The processes that serve."""
    return {int(each) for each in _children(server.pid).split()}


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def until(is_true: Callable[[], bool]) -> bool:
    """Whether it becomes true."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := is_true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def answering(server: Server) -> int:
    """The process that answers a new connection."""
    metrics = httpx2.get(f"{server.url}/metrics").text
    return int(metrics.partition('process="')[2].partition('"')[0].rpartition(":")[2])


def test_connections_are_distributed_over_all_processes(server: Server) -> None:
    reached: set[int] = set()

    def have_all_answered() -> bool:
        reached.add(answering(server))
        return reached == processes_of(server)

    assert len(processes_of(server)) == 3
    assert until(have_all_answered)


class Sending:
    """An upload, each request of it over a connection of its own, repeated if it breaks."""

    def __init__(self, server: Server, content: bytes) -> None:
        self._api, self._content = f"{server.url}/api/chunked-upload", content
        self._path = server.data / "files"
        begun = self._post("init", json={"filename": "a.bin", "size": len(content)})
        self._id = begun["upload_id"]

    def send(self, first: int, last: int) -> None:
        """Send the MiB from number `first` to before `last`."""
        for at in range(first * MiB, last * MiB, MiB):
            where = {"upload_id": self._id, "offset": at}
            self._post("chunk", params=where, content=self._content[at : at + MiB])

    def complete(self) -> bytes:
        """The file that has come of it."""
        done = self._post("complete", json={"upload_id": self._id})
        assert done["state"] == "complete"
        return (self._path / f"{self._id}.bin").read_bytes()

    def _post(self, verb: str, **request: object) -> dict[str, str]:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                answer = httpx2.post(f"{self._api}/{verb}", timeout=TIMEOUT, **request)  # type: ignore[arg-type]
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                continue
            assert answer.is_success, answer.text
            found: dict[str, str] = answer.json()
            return found


def test_the_requests_of_an_upload_may_reach_any_process(server: Server) -> None:
    content = os.urandom(12 * MiB)
    upload = Sending(server, content)
    upload.send(0, 12)
    assert upload.complete() == content


def test_a_process_that_is_killed_is_replaced_and_no_acknowledged_byte_is_lost(
    server: Server,
) -> None:
    content, before = os.urandom(12 * MiB), processes_of(server)
    upload = Sending(server, content)
    for number, pid in enumerate(sorted(before)):
        upload.send(4 * number, 4 * number + 2)
        os.kill(pid, signal.SIGKILL)
        upload.send(4 * number + 2, 4 * number + 4)
    assert until(lambda: len(processes_of(server)) == 3 and not before & processes_of(server))
    assert upload.complete() == content
    for pid in before:
        assert f"process-ended pid={pid} code=-9" in server.log.read_text()


def test_all_processes_end_at_sigterm(server: Server) -> None:
    before = processes_of(server)
    server.stop()
    assert not any(map(is_running, before))
    assert "process-ended" not in server.log.read_text()


def test_all_processes_end_when_the_one_that_started_them_is_killed(server: Server) -> None:
    before = processes_of(server)
    server.kill()
    assert until(lambda: not any(map(is_running, before)))
    server.start()  # at the same port


def test_a_port_that_several_processes_have_is_taken(server: Server) -> None:
    other = server.data.parent / "other"
    refused = wherry("serve", "--processes", 2, "--port", server.port, "--data", other, code=1)
    assert f"port {server.port} on 127.0.0.1 is taken" in refused.stderr


def test_if_one_process_does_not_start_the_server_ends() -> None:
    serve = """
    if number == 1:
        raise RuntimeError
    signal.pause()
"""
    ended = run_three(serve)
    assert ended.returncode == 1
    assert "the server did not start" in ended.stderr


def test_a_replacement_that_does_not_start_is_tried_again(tmp_path: Path) -> None:
    serve = f"""
    with open({str(tmp_path / "starts")!r}, "a+") as starts:
        starts.write(f"{{number}}\\n")
        starts.seek(0)
        mine = starts.read().count("1\\n")
    if number == 1 and mine == 1:
        raise SystemExit(1)
    if number == 1 and mine == 2:
        raise RuntimeError
    if number == 1:
        os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
"""
    assert run_three(serve).returncode == -signal.SIGTERM
    assert sorted((tmp_path / "starts").read_text().split()) == ["0", "1", "1", "1", "2"]


def test_a_signal_before_a_process_is_started_ends_the_server() -> None:
    serve = """
    signal.pause()

block = signal.pthread_sigmask

def late(how, signals):
    signal.pthread_sigmask = block
    signal.raise_signal(signal.SIGTERM)
    return block(how, signals)

signal.pthread_sigmask = late
"""
    assert run_three(serve).returncode == -signal.SIGTERM


def run_three(body: str) -> subprocess.CompletedProcess[str]:
    """Run three processes, of which each does what the lines of `body` say."""
    script = f"""
import os, signal
from wherry.processes import run_processes

def serve(number):
{body}

run_processes(3, serve)
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
