"""Where nothing can be assessed, everybody who waits for it is told, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from tests.waiting import wait_until

from wherry import app as app_module
from wherry.app import App
from wherry.client import AsyncClient, WorkerFails
from wherry.router import chunked_upload_router
from wherry.settings import Settings
from wherry.testing.server import serving
from wherry.testing.video import make_video

CAUSE = "The worker cannot start: "
TIMEOUT = 120.0


def wherry(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wherry", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_worker_that_cannot_start_is_told_and_what_was_uploaded_is_assessed_later(
    tmp_path: Path,
) -> None:
    video = make_video(tmp_path / "talk.mp4", seconds=2, width=64, height=48)
    in_the_way = tmp_path / "data" / "dbos.sqlite"
    in_the_way.mkdir(parents=True)
    with serving(tmp_path / "data") as server:

        def ready() -> httpx2.Response:
            return httpx2.get(f"{server.url}/readyz")

        waited = wherry("upload", video, f"{server.url}/api", "--wait")
        assert waited.returncode == 1
        assert "complete" in waited.stdout
        assert f"{CAUSE}(sqlite3.OperationalError) unable to open database" in waited.stderr
        wait_until(lambda: ready().status_code == 503)
        assert CAUSE in ready().json()["detail"]
        assert 'wherry_worker{state="failing"} 1.0' in httpx2.get(f"{server.url}/metrics").text
        assert f'worker-failing problem="{CAUSE}' in server.log.read_text()

        assessment = waited.stdout.split("assessment ")[1].split()[0]
        told = wherry("report", assessment, f"{server.url}/api")
        assert told.stdout.startswith(f"queued: {CAUSE}")

        in_the_way.rmdir()
        wait_until(lambda: ready().status_code == 200)
        report = wherry("report", assessment, f"{server.url}/api", "--wait")
        assert report.returncode == 0, report.stderr
        assert "verdict" in report.stdout


def test_the_demo_ends_with_the_cause(tmp_path: Path) -> None:
    broken = tmp_path / "dbos"
    broken.mkdir()
    (broken / "__init__.py").write_text('raise RuntimeError("this one is broken")\n')
    done = wherry("demo", "--size", "2", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stdout
    assert f"{CAUSE}this one is broken." in done.stderr
    assert "The upload is complete and safe." in done.stderr


@pytest.mark.anyio
async def test_every_process_of_a_host_application_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [sys.executable, "-c", "import sys; sys.exit(7)"]
    monkeypatch.setattr(app_module, "worker_command", lambda settings: gone)
    host = FastAPI()
    data = tmp_path / "data"
    host.include_router(
        chunked_upload_router(owner=lambda: "alice", data=data, min_free=0), prefix="/api"
    )
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    transport = httpx2.ASGITransport(host)
    async with (
        host.router.lifespan_context(host),
        AsyncClient("http://host/api", transport=transport) as client,
    ):
        result = await client.upload(file)
        assert result.assessment_id is not None
        with anyio.fail_after(TIMEOUT), pytest.raises(WorkerFails, match="ended with code 7"):
            await client.wait_for_assessment(result.assessment_id)
        # Another process over the same folder, which keeps no worker.
        other = App(Settings(data=data, min_free=0))
        async with other.beside() as engine:
            worker = await engine.worker()
        assert worker is not None
        assert worker.problem is not None
        assert "ended with code 7" in worker.problem
        stored = await client.assessment(result.assessment_id)
        assert stored.state == "queued"


@pytest.mark.anyio
async def test_where_nothing_is_assessed_no_worker_is_missed(tmp_path: Path) -> None:
    async with App(Settings(data=tmp_path, min_free=0, assessment=False)).beside() as engine:
        assert await engine.worker() is None
        assert await engine.unready() == ()
