"""The example of `examples/celery_app`, with a real worker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import make_file, sha256
from tests.examples.edits import LEFT_BY_RUNNING, ROOT
from tests.examples.running import TIMEOUT, is_answering
from tests.parts import need_package
from tests.waiting import wait_until

from wherry.client import Client
from wherry.testing.ports import free_port

WORKER = ("-m", "celery", "-A", "tasks", "worker", "--pool=solo", "--loglevel=info")
#: Called as after a crash between its end and the record of its answer.
HAND_OVER_AGAIN = """
import sys
from pathlib import Path
from server import hand_over
from wherry.router import FinishedFile

print(hand_over(FinishedFile(sys.argv[1], Path("gone"), "film.mp4", None, 1, "alice", {}, "")))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    need_package("celery")
    example = ROOT / "examples" / "celery_app"
    return shutil.copytree(example, tmp_path / "app", ignore=LEFT_BY_RUNNING)


@contextmanager
def running(folder: Path, name: str, *command: str) -> Iterator[Path]:
    """A program of the example, in its folder; its log."""
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=out, stderr=out)
    try:
        yield log
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()
            process.wait()


def ask(url: str, who: str) -> httpx2.Response:
    return httpx2.get(url, headers={"Authorization": f"Bearer {who}s-token"})


@pytest.mark.slow
def test_an_upload_is_processed_once_however_often_it_is_handed_over(
    folder: Path, tmp_path: Path
) -> None:
    film = make_file(tmp_path / "film.mp4", 6_000_000)
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    with running(folder, "server", "-m", "uvicorn", "server:app", "--port", port):
        wait_until(lambda: is_answering(f"{url}/openapi.json"))
        result = Client(f"{url}/api", key="alices-token").upload(film)
        job_id = result.assessment_id
        assert job_id == result.upload_id
        again = [sys.executable, "-c", HAND_OVER_AGAIN, job_id]
        answer = subprocess.run(again, cwd=folder, check=True, capture_output=True, text=True)
        assert answer.stdout == f"{job_id}\n"
        job = f"{url}/api/jobs/{job_id}"
        wanted: dict[str, Any] = {"job": job_id, "state": "queued", "sha256": None}
        assert ask(job, "alice").json() == wanted  # there is no worker yet
        with running(folder, "worker", *WORKER) as log:
            # Celery delivers both messages, although they have one id.
            ended = f"Task tasks.process[{job_id}] succeeded"
            wait_until(lambda: log.read_text().count(ended) == 2)
        assert log.read_text().count(f"processed {job_id}") == 1
        wanted |= {"state": "done", "sha256": sha256(film)}
        assert ask(job, "alice").json() == wanted
        assert ask(job, "bob").status_code == 404
