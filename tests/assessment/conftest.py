"""Videos made once, and a place where workers are started and killed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import IO, Any

import pytest

from wherry.assessment.confine import Bounds
from wherry.assessment.context import Context
from wherry.assessment.media import Unreadable
from wherry.assessment.policy import POLICIES
from wherry.assessment.progress import StepResult
from wherry.assessment.report import render_report
from wherry.assessment.sandbox import Sandbox
from wherry.assessment.schema import Report
from wherry.assessment.steps import GROUP, PLAN, place_of
from wherry.catalog import Catalog
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.upload import State, Upload
from wherry.storage.local import LocalStorage
from wherry.testing.video import make_video

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

#: What is planted in the small video that most tests look at; in seconds.
BLACK, FREEZE, SILENCE, SECONDS = (1.0, 2.0), (3.0, 5.0), (5.0, 7.5), 8.0
#: Nobody waits longer than this for what must happen, in seconds.
TIMEOUT = 120.0

#: The steps that do what they must not, as custom steps.
HOSTILE = {
    path.stem: f"tests.assessment.hostile.{path.stem}:measure"
    for path in (Path(__file__).parent / "hostile").glob("[a-z]*.py")
}

#: A step that does no harm may take as long as it needs on a busy machine.
BOUNDS = Bounds(TIMEOUT, processor_seconds=60)


@pytest.fixture(scope="session")
def small_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good video with a black stretch, a freeze and a silence in it. Copy it to change it."""
    path = tmp_path_factory.mktemp("videos") / "small.mp4"
    return make_video(
        path, seconds=SECONDS, width=320, height=180, black=BLACK, freeze=FREEZE, silence=SILENCE
    )


@pytest.fixture
def video(small_video: Path, tmp_path: Path) -> Path:
    """A copy of the small video."""
    return Path(shutil.copy(small_video, tmp_path / "video.mp4"))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def into(folder: Path) -> Callable[[str, bytes], None]:
    """Keeps pictures in this folder."""

    def keep(name: str, data: bytes) -> None:
        (folder / name).write_bytes(data)

    return keep


Assess = Callable[[Path], dict[str, Any]]


@pytest.fixture
def assess(sandbox: Sandbox, tmp_path: Path) -> Assess:
    """Every step over a file, each in its child, and the report; no worker, no database."""

    def measure(name: str, path: Path) -> Mapping[str, Any]:
        pictures = tmp_path / "pictures"
        outcome = sandbox.run(place_of(name), path, pictures, into(pictures), BOUNDS)
        assert outcome.result is not None, (name, outcome.problem)
        return outcome.result

    return lambda path: assessed(path, measure)


@pytest.fixture
def assess_here(tmp_path: Path) -> Assess:
    """The same in this process: faster, and as good for files that are only damaged."""

    def measure(name: str, path: Path) -> Mapping[str, Any]:
        try:
            return look(name, path, tmp_path)
        except Unreadable as reason:
            return {"unreadable": str(reason), "is_media": reason.is_media}

    return lambda path: assessed(path, measure)


def look(step: str, path: Path, folder: Path) -> dict[str, Any]:
    """What this step finds in the file, here in this process; pictures go into `folder`."""
    context = Context(path, str(path), folder, time.monotonic() + TIMEOUT)
    measure = EntryPoint("", place_of(step), "").load()
    return {**measure(context), "artefacts": context.artefacts}


def install(folder: Path, distribution: str, steps: Mapping[str, str], group: str = GROUP) -> Path:
    """What pip leaves of a distribution that announces these steps, as `module:callable`."""
    installed = folder / f"{distribution}-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
    )
    lines = [f"{name} = {place}\n" for name, place in steps.items()]
    (installed / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")
    return folder


def assessed(path: Path, measure: Callable[[str, Path], Mapping[str, Any]]) -> dict[str, Any]:
    results: list[StepResult] = []
    for name in PLAN:
        results.append(StepResult(name, "done", 0.1, measure(name, path)))
        if "unreadable" in (results[0].facts or {}):
            break
    upload = Upload("u", "ada", path.name, path.stat().st_size, path.stat().st_size)
    report = render_report(upload, "a", POLICIES["web"], results)
    check_report(report)
    return report


def check_report(report: Mapping[str, Any]) -> None:
    """It is what the schema says, field by field, with nothing besides."""
    json.dumps(report, allow_nan=False)
    assert Report.model_validate(report).model_dump(mode="json", by_alias=True) == report


def check_stretches(found: dict[str, Any], begin: float, end: float) -> None:
    """What must hold of every part of a report that is stretches of time."""
    ranges, slack = found["ranges"], 0.0015
    for start, stop in ranges:
        assert begin - slack <= start < stop <= end + slack
    for (_, before), (after, _) in itertools.pairwise(ranges):
        assert before <= after
    lengths = [stop - start for start, stop in ranges]
    if found["count"] == len(ranges):
        assert found["seconds"] == pytest.approx(sum(lengths), abs=0.002 * len(ranges) + 0.001)
    assert found["seconds"] <= end - begin + slack
    assert 0 <= found["longest_share"] <= found["share"] <= 1


def codes(report: dict[str, Any], severity: str | None = None) -> list[str]:
    """The codes of a report's findings, in order."""
    return [f["code"] for f in report["findings"] if severity in (None, f["severity"])]


def inhabitants(folder: Path) -> list[int]:
    """The processes that work in this folder, or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


async def until(true: Callable[[], bool]) -> None:
    """Wait until it is true; fail if that takes too long."""
    deadline = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def upload_id_of(number: int) -> str:
    return f"{number:032}"


@dataclass
class Stand:
    """A data folder with its catalog, and the workers that were started over it."""

    data: Path
    catalog: Catalog
    files: dict[int, Path] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: list[IO[bytes]] = field(default_factory=list)

    async def queue(self, file: Path, number: int = 1, priority: int = 0) -> str:
        """A finished upload of this file, queued to be assessed."""
        upload_id, assessment_id, now = upload_id_of(number), f"a{number}", time.time()
        length = file.stat().st_size
        upload = Upload(upload_id, "ada", file.name, length, length, created_at=now)
        self.files[number] = self.data / "files" / f"{upload_id}{upload.suffix}"
        shutil.copy(file, self.files[number])
        await self.catalog.create(upload)
        await self.catalog.update(
            upload_id,
            lambda u: replace(u, state=State.COMPLETE, assessment_id=assessment_id),
            Assessment(assessment_id, upload_id, "ada", now, priority=priority),
        )
        return assessment_id

    async def queue_gate(self) -> str:
        """An upload whose `gate` step waits for `open_gate`."""
        closed = self.data / "closed"
        closed.write_bytes(b"no")
        return await self.queue(closed)

    def open_gate(self) -> None:
        with self.files[1].open("r+b") as file:
            file.write(b"go")

    def start(self, program: str = "worker.py", **options: Any) -> subprocess.Popen[bytes]:
        """A worker, or another program that takes the same arguments."""
        log = (self.data / f"log-{len(self.logs)}").open("wb")
        self.logs.append(log)
        process = subprocess.Popen(
            [sys.executable, PROGRAMS / program, self.data, json.dumps(options)],
            stdin=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{self.data / 'installed'}"},
        )
        self.started.append(process)
        return process

    def said(self, what: str, by: int | None = None) -> int:
        """How often workers said this in their logs; `by` is the number of one of them."""
        logs = self.data.glob("log-*") if by is None else [self.data / f"log-{by}"]
        return sum(log.read_text().count(what) for log in logs)

    def log(self) -> str:
        """What the first worker has logged."""
        return (self.data / "log-0").read_text()

    async def ended(self, assessment_id: str = "a1") -> Assessment:
        """The assessment once it is done or failed."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            assessment = await self.catalog.load_assessment(assessment_id)
            if assessment.state in (AssessmentState.DONE, AssessmentState.FAILED):
                return assessment
            await asyncio.sleep(0.02)
        raise AssertionError([log.read_text() for log in self.data.glob("log-*")])

    async def in_gate(self) -> None:
        """Wait until the step `gate` runs in a child."""
        await until(lambda: self.said("step=gate") > 0)
        await until(lambda: bool(inhabitants(self.data)))

    def end(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        for log in self.logs:
            log.close()


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    LocalStorage(tmp_path).check()
    install(tmp_path / "installed", "hostile", HOSTILE)
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    stand = Stand(tmp_path, catalog)
    yield stand
    stand.end()
    await catalog.close()
    await until(lambda: not inhabitants(tmp_path))
