"""How long it takes until another worker goes on with the assessment of one that was killed.

    python -m bench.takeover [TIMES]

A server without a worker of its own, PostgreSQL, and two `wherry worker` processes with the default
settings. Each time, the worker that assesses a video gets SIGKILL in the middle of a step.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import httpx2

from wherry.testing.postgres import postgres
from wherry.testing.server import serving
from wherry.testing.video import make_video

T = TypeVar("T")

#: The step in which the worker is killed.
STEP = "integrity"
#: Nothing takes longer, in seconds.
TIMEOUT = 120.0


class Workers:
    """Two workers, each with a log of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database = folder, database
        self._started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(self) -> None:
        log = self._folder / f"worker-{len(self._started)}.log"
        data = ["--data", str(self._folder / "data"), "--database", self._database]
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "wherry", "worker", *data], stderr=stderr
            )
        self._started.append((process, log))
        wait(lambda: "worker-started" in log.read_text())

    def who(self, did: str) -> subprocess.Popen[bytes] | None:
        """The worker that lives and whose log has these words; None: there is none."""
        living = [each for each in self._started if each[0].poll() is None]
        return next((process for process, log in living if did in log.read_text()), None)

    def end(self) -> None:
        for process, _ in self._started:
            process.kill()
            process.wait()


def wait(find: Callable[[], T | None]) -> T:
    """What `find` finds, as soon as that is true. Raises `TimeoutError`."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(0.01)
    raise TimeoutError


def take_over(workers: Workers, url: str, video: Path) -> float:
    """Seconds from the death of a worker until another one has its assessment."""
    with video.open("rb") as file:
        answer = httpx2.post(f"{url}/api/upload", files={"file": file}, timeout=TIMEOUT)
    assessment_id = answer.raise_for_status().json()["assessment_id"]
    begun = f"step-started assessment_id={assessment_id} step={STEP}"
    victim = wait(lambda: workers.who(begun))
    victim.kill()
    died = time.monotonic()
    victim.wait()
    claimed = f"assessment-claimed attempt=2 assessment_id={assessment_id}"
    wait(lambda: workers.who(claimed))
    took = time.monotonic() - died
    path = f"{url}/api/assessments/{assessment_id}"
    wait(lambda: httpx2.get(path, timeout=TIMEOUT).json()["state"] == "done")
    return took


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        database = stack.enter_context(postgres()).new_database()
        video = make_video(folder / "talk.mp4")
        options = {"database": database, "run_worker": False}
        server = stack.enter_context(serving(folder / "data", **options))
        workers = Workers(folder, database)
        stack.callback(workers.end)
        workers.start()
        took = []
        for _ in range(times):
            workers.start()
            took.append(take_over(workers, server.url, video))
            print(f"taken over after {took[-1]:.1f} s", flush=True)
    print(f"median {statistics.median(took):.1f} s, longest {max(took):.1f} s, of {times}")


if __name__ == "__main__":
    main()
