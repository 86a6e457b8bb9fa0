"""What a start says without its database, and a worker while it is away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.command import wherry

from wherry.testing.postgres import postgres, require_postgres

#: For a busy machine, in seconds.
TIMEOUT = 120.0


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_a_start_without_its_database_says_what_to_do_and_makes_no_folder(
    tmp_path: Path, command: str
) -> None:
    data = tmp_path / "data"
    with socket.socket() as unanswered:  # bound, and does not listen
        unanswered.bind(("127.0.0.1", 0))
        url = f"postgresql://wherry@127.0.0.1:{unanswered.getsockname()[1]}/wherry"
        refused = wherry(command, "--data", data, code=1, environment={"WHERRY_DATABASE": url})
    assert "wherry: the database cannot be used: " in refused.stderr
    assert "All records and files are as they were" in refused.stderr
    assert "correct the setting `database`" in refused.stderr
    assert "anonymous access" not in refused.stderr
    assert not data.exists()


def test_a_worker_logs_one_line_each_time_that_its_database_does_not_answer(
    tmp_path: Path,
) -> None:
    require_postgres()
    log = tmp_path / "log"

    def until(is_so: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not is_so(log.read_text()):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    with postgres() as server, log.open("w") as file:
        command = [sys.executable, "-m", "wherry", "worker", "--data", str(tmp_path / "data")]
        env = {**os.environ, "WHERRY_DATABASE": server.new_database()}
        worker = subprocess.Popen(command, env=env, stdout=file, stderr=file)
        try:
            until(lambda said: "worker-started" in said)
            server.stop()
            until(lambda said: said.count("worker-failed problem=") >= 2)
            server.start()
        finally:
            worker.terminate()
            worker.wait(TIMEOUT)
    assert "Traceback" not in log.read_text()
