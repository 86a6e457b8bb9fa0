"""Real workers keep `worker_concurrency` each, and `max_assessments` together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.assessment.conftest import HOSTILE, ROOT, install, until
from tests.engine.conftest import ALICE, Gathered

from wherry.app import App
from wherry.app.backends import open_catalog
from wherry.catalog import Catalog
from wherry.core.requests import Create
from wherry.settings import Settings
from wherry.testing.video import make_video

pytestmark = pytest.mark.anyio

#: How many each worker may assess at once, and how many all workers together.
EACH, ALL = 2, 3
#: The end of a file for which the step `held` waits.
WAIT, GO = b"no", b"go"


class Workers:
    """`wherry worker` in processes, whose assessments wait in their last step, `held`."""

    def __init__(self, folder: Path, settings: Settings, running: ExitStack) -> None:
        self._settings, self._running = settings, running
        self._site = install(folder / "installed", "held", {"held": HOSTILE["held"]})
        self._logs: list[Path] = []

    def start(self) -> None:
        command = [sys.executable, "-m", "wherry", "worker", "--data", str(self._settings.data)]
        for name in ("database", "worker_concurrency", "max_assessments"):
            command += [f"--{name.replace('_', '-')}", str(getattr(self._settings, name))]
        self._logs.append(self._site / f"log-{len(self._logs)}")
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{self._site}"}
        with self._logs[-1].open("wb") as log:
            process = subprocess.Popen(command, stderr=log, env=environment)
        self._running.callback(process.wait)
        self._running.callback(process.kill)

    def said(self, what: str) -> list[int]:
        """How often each worker has said this in its log."""
        return [log.read_text().count(what) for log in self._logs]


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return Settings(
        data=tmp_path / "data",
        database=database,
        min_free=0,
        run_worker=False,
        worker_concurrency=EACH,
        max_assessments=ALL,
    )


@pytest.fixture
def workers(tmp_path: Path, settings: Settings) -> Iterator[Workers]:
    with ExitStack() as running:
        yield Workers(tmp_path, settings, running)


async def states(catalog: Catalog) -> list[str]:
    return sorted(each.state.value for each in await catalog.assessments())


async def test_two_run_in_a_worker_three_in_all_and_one_waits(
    tmp_path: Path, settings: Settings, workers: Workers
) -> None:
    film = make_video(tmp_path / "film.mp4", seconds=1, width=64, height=48).read_bytes()
    # A box that players skip.
    film += (8 + len(WAIT)).to_bytes(4) + b"free" + WAIT
    async with App(settings).beside() as engine:
        for _ in range(ALL + 1):
            await engine.receive(ALICE, Create("film.mp4", len(film)), Gathered(film))
    catalog = open_catalog(settings)
    try:
        workers.start()
        # A worker looks for work with all that it may do at once, when it starts: what it takes too
        # much has been taken long before two come to their last step.
        await until(lambda: sum(workers.said("step=held")) >= EACH)
        assert await states(catalog) == ["queued", "queued", "running", "running"]
        workers.start()
        await until(lambda: sum(workers.said("step=held")) >= ALL)
        assert await states(catalog) == ["queued", "running", "running", "running"]
        assert workers.said("step=held") == [EACH, ALL - EACH]
        for path in (settings.data / "files").iterdir():
            with path.open("r+b") as file:
                file.seek(-len(GO), os.SEEK_END)
                file.write(GO)
        await until(lambda: sum(workers.said("assessment-done")) == ALL + 1)
        assert await states(catalog) == ["done"] * (ALL + 1)
    finally:
        await catalog.close()
