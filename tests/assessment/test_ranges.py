"""A file that is elsewhere is read in parts, each of its bytes once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tests.assessment.conftest import BOUNDS, HOSTILE, into

from wherry.assessment.partial_copy import SCRATCH, Interrupted, PartialCopy
from wherry.assessment.progress import Progress, StepResult, Work
from wherry.assessment.reading import BLOCK
from wherry.assessment.sandbox import Outcome, Sandbox
from wherry.assessment.steps import place_of, reads_ranges
from wherry.assessment.worker import Assessing, Site, Timing, Worker
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.ranges import Range
from wherry.core.upload import State, Upload
from wherry.storage import StoredFile
from wherry.testing.memory.catalog import MemoryCatalog
from wherry.testing.memory.locks import MemoryLocks
from wherry.testing.memory.storage import MemoryStorage
from wherry.testing.video import make_video

UPLOAD = "0" * 32


@dataclass
class Elsewhere:
    """A file of which every range that is read is known; it breaks at `broken_from`."""

    data: bytes
    read_ranges: list[Range] = field(default_factory=list)
    broken_from: int | None = None

    def read(self, within: Range) -> Iterator[bytes]:
        self.read_ranges.append(within)
        for at in range(within.start, min(within.end, len(self.data)), 100_000):
            if self.broken_from is not None and at >= self.broken_from:
                raise OSError("the network is down")
            yield self.data[at : min(at + 100_000, within.end)]

    @property
    def bytes_read(self) -> int:
        return sum(len(part) for part in self.read_ranges)

    def copy(self, folder: Path) -> PartialCopy:
        return PartialCopy.make(cast("StoredFile", self), len(self.data), folder, "film.mp4")


def run(sandbox: Sandbox, step: str, file: Path | PartialCopy, folder: Path) -> Outcome:
    """A step that reads ranges, over a copy."""
    place = HOSTILE.get(step) or place_of(step)
    return sandbox.run(place, file, folder, into(folder), BOUNDS, by_ranges=True)


def padded(path: Path, most: int) -> bytes:
    """A video that is followed by a box of zeros: most of it need not be read."""
    data = path.read_bytes()
    return data + most.to_bytes(4, "big") + b"free" + bytes(most - 8)


def test_of_a_file_that_is_no_video_one_block_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    text = Elsewhere(b"No video at all.\n" * 1_000_000)
    outcome = run(sandbox, "probe", text.copy(tmp_path), tmp_path)
    assert outcome.result == {"unreadable": "it is something else", "is_media": False}
    assert text.read_ranges == [Range(0, BLOCK)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_file_is_the_same_by_ranges_and_as_a_whole(
    sandbox: Sandbox, tmp_path: Path, suffix: str
) -> None:
    path = make_video(tmp_path / f"film{suffix}", seconds=4, width=320, height=180)
    whole = run(sandbox, "probe", path, tmp_path)
    elsewhere = Elsewhere(path.read_bytes())
    by_ranges = run(sandbox, "probe", elsewhere.copy(tmp_path), tmp_path)
    assert whole.result is not None
    assert by_ranges.result == whole.result
    assert by_ranges.confined == whole.confined


def test_no_byte_is_read_twice_and_what_no_step_needs_comes_last(
    sandbox: Sandbox, small_video: Path, tmp_path: Path
) -> None:
    film = Elsewhere(padded(small_video, 40 * BLOCK))
    copy = film.copy(tmp_path)
    assert run(sandbox, "probe", copy, tmp_path).result is not None
    assert film.bytes_read <= 4 * BLOCK
    whole = sandbox.run(place_of("integrity"), copy, tmp_path, into(tmp_path), BOUNDS)
    assert whole.result is not None
    assert copy.path.read_bytes() == film.data
    assert film.bytes_read == len(film.data)


def test_a_step_jumps_in_the_file_and_cannot_read_what_is_not_there(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    film = Elsewhere(os.urandom(5 * BLOCK + 12_345))
    found = run(sandbox, "reader", film.copy(tmp_path), tmp_path).result
    assert found is not None
    assert found["last"] == film.data[-7:].hex()
    assert found["digest"] == hashlib.sha256(film.data).hexdigest()
    assert film.bytes_read == len(film.data)
    if sys.platform == "linux":
        assert found["by_name"] == "refused"
    # It ends with the first block that is there, and one request has several blocks.
    assert film.read_ranges[0] == Range(5 * BLOCK, len(film.data))
    assert len(film.read_ranges) < 6


@pytest.mark.parametrize("step", ["greedy", "impatient"])
def test_a_step_that_asks_for_nonsense_is_ended(
    sandbox: Sandbox, tmp_path: Path, step: str
) -> None:
    film = Elsewhere(bytes(3 * BLOCK))
    problem = run(sandbox, step, film.copy(tmp_path), tmp_path).problem
    assert problem is not None
    assert problem.kind == "garbage"
    assert film.bytes_read <= BLOCK


@pytest.mark.parametrize("by_ranges", [True, False])
def test_a_step_has_no_result_if_storage_fails_under_it(
    sandbox: Sandbox, small_video: Path, tmp_path: Path, by_ranges: bool
) -> None:
    film = Elsewhere(padded(small_video, 3 * BLOCK), broken_from=0)
    copy = film.copy(tmp_path)
    place = place_of("probe")
    with pytest.raises(Interrupted):
        sandbox.run(place, copy, tmp_path, into(tmp_path), BOUNDS, by_ranges=by_ranges)
    assert str(copy.failure) == "the network is down"
    with pytest.raises(Interrupted):
        copy.fetch(0, 1)
    assert len(film.read_ranges) == 1


def test_a_file_that_is_shorter_in_storage_is_a_failure_of_storage(tmp_path: Path) -> None:
    film = Elsewhere(bytes(BLOCK))
    copy = PartialCopy.make(cast("StoredFile", film), 2 * BLOCK, tmp_path, "film.mp4")
    with pytest.raises(Interrupted):
        copy.fetch_all()
    assert "1048576 bytes of the 2097152" in str(copy.failure)


def test_a_closed_copy_leaves_nothing_and_gives_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    film = Elsewhere(bytes(BLOCK))
    copy = film.copy(tmp_path)
    copy.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Interrupted):
        run(sandbox, "probe", copy, tmp_path)
    assert (film.read_ranges, copy.failure) == ([], None)


def test_only_the_probe_reads_ranges() -> None:
    assert [name for name in ("probe", "integrity", "visual", "audio") if reads_ranges(name)] == [
        "probe"
    ]


# The worker.


class FirstStep:
    """Workflows with one step, which needs the whole file."""

    def enter(self, assessment_id: str, work: Work) -> None:
        self.work = work

    def leave(self, assessment_id: str) -> None: ...

    def forget(self, assessment_id: str) -> None: ...

    def advance(self, assessment_id: str) -> Progress:
        assert isinstance(self.work.file, PartialCopy)
        try:
            self.work.file.fetch_all()
        except Interrupted:
            return Progress(())
        return Progress((), results=(StepResult("probe", "done", 0.1, {"streams": []}),))


@pytest.mark.anyio
@pytest.mark.parametrize("fate", ["away", "deleted"])
async def test_a_file_that_cannot_be_read_any_more_is_no_damaged_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    catalog, storage = MemoryCatalog(), MemoryStorage()
    storage.reserve(UPLOAD, 3)
    file = storage.finish(UPLOAD, ".mp4", 3)
    upload = Upload(UPLOAD, "ada", "film.mp4", 3, 3, state=State.COMPLETE, assessment_id="a")
    await catalog.create(upload)
    await catalog.update(UPLOAD, lambda u: u, Assessment("a", UPLOAD, "ada", 0.0))
    fails = 0
    real: Any = type(file).read

    def read(self: Any, within: Range) -> Iterator[bytes]:
        nonlocal fails
        fails += 1
        if fate == "deleted":
            storage.discard(UPLOAD, ".mp4")
        elif fails == 1:
            monkeypatch.setattr(storage, "present", away)
            raise OSError("the store does not answer")
        return cast("Iterator[bytes]", real(self, within))

    looks = 0

    def away() -> None:
        nonlocal looks
        looks += 1
        if looks < 20:
            raise OSError("the store does not answer")

    monkeypatch.setattr(type(file), "read", read)
    site = Site(catalog, storage, tmp_path, MemoryLocks())
    assessing = Assessing(timing=Timing(lease=20, poll_interval=0.01, progress_interval=0.01))
    worker = Worker(site, assessing, cast("Any", FirstStep()), Sandbox())
    stop = asyncio.Event()
    lane = asyncio.create_task(worker.lane(stop))
    while not (ended := await catalog.load_assessment("a")).is_over:
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    if fate == "away":
        # The attempt did not count, and nothing was recorded.
        assert (ended.state, ended.attempts) == (AssessmentState.DONE, 1)
        assert looks >= 20
    else:
        assert ended.state is AssessmentState.FAILED
        assert ended.problem == "its file is not there any more"
    assert list(tmp_path.rglob(f"{SCRATCH}*")) == []
