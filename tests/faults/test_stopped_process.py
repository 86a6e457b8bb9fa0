"""Processes that stand still, or end, while the application's hook runs in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api
from tests.stopped import stop

from wherry.testing.ports import free_port

PROGRAMS = Path(__file__).parent / "programs"
#: For a busy machine, in seconds.
TIMEOUT = 120.0
DATA = b"film" * 1000


@dataclass
class Host:
    process: subprocess.Popen[bytes]
    url: str


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def is_up(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/docs").is_success
    except httpx2.TransportError:
        return False


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(PROGRAMS), "slow_hook:app"]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "HOST_FOLDER": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_up(url) or process.poll() is not None)
        assert process.poll() is None, (folder / f"{port}.log").read_text()
        yield Host(process, url)
    finally:
        process.kill()
        process.wait()


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def received(api: Api) -> object:
    upload_id = api.init(len(DATA))["upload_id"]
    assert api.chunk(upload_id, 0, DATA).is_success
    return upload_id


@pytest.mark.slow
def test_a_process_that_was_stopped_in_a_hook_is_alone_with_it_when_it_wakes_up(
    tmp_path: Path,
) -> None:
    with host(tmp_path) as one, host(tmp_path) as other:
        with Api(one.url) as api:
            upload_id = received(api)
            assert api.complete(upload_id).status_code == httpx2.codes.ACCEPTED
        wait_for(lambda: calls(tmp_path) == ["begin"])
        stop(one.process, tmp_path / "data" / "catalog.sqlite")
        try:
            with Api(other.url) as api:  # four leases long
                assert api.complete(upload_id).status_code == httpx2.codes.ACCEPTED
            assert calls(tmp_path) == ["begin"]
        finally:
            one.process.send_signal(signal.SIGCONT)
        (tmp_path / "let-go").touch()
        with Api(other.url) as api:
            wait_for(lambda: api.status(upload_id)["state"] == "complete")
            assert api.status(upload_id)["assessment_id"] == f"of-{one.process.pid}"
        assert calls(tmp_path) == ["begin", "end"]


@pytest.mark.slow
def test_a_hook_whose_process_was_killed_is_called_by_another_one(tmp_path: Path) -> None:
    with host(tmp_path) as one, host(tmp_path) as other:
        with Api(one.url) as api:
            upload_id = received(api)
            assert api.complete(upload_id).status_code == httpx2.codes.ACCEPTED
        wait_for(lambda: calls(tmp_path) == ["begin"])
        one.process.kill()
        one.process.wait()
        wait_for(lambda: calls(tmp_path) == ["begin", "begin"])
        (tmp_path / "let-go").touch()
        with Api(other.url) as api:
            wait_for(lambda: api.status(upload_id)["state"] == "complete")
            assert api.status(upload_id)["assessment_id"] == f"of-{other.process.pid}"


@pytest.mark.slow
def test_hooks_that_hang_do_not_keep_a_server_from_ending(tmp_path: Path) -> None:
    with host(tmp_path) as one, Api(one.url) as api:
        uploads = [received(api) for _ in range(9)]
        with ThreadPoolExecutor(len(uploads)) as pool:
            answers = list(pool.map(api.complete, uploads))
        assert {answer.status_code for answer in answers} == {httpx2.codes.ACCEPTED}
        one.process.terminate()
        one.process.wait(TIMEOUT)
