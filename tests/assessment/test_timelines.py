"""Whatever the time line, no gap is longer than its file, and no two overlap."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.assessment.conftest import look
from tests.assessment.recordings import NO_B_FRAMES, USUAL, record

from wherry.assessment.media import Decoded, open_media
from wherry.assessment.stamps import AHEAD, BACK, Stamps
from wherry.assessment.tally import Tally

CLOCK = Fraction(1, 90_000)


@dataclass(frozen=True)
class Line:
    """A generated time line: seconds from frame to frame, and what a recorder did to it."""

    steps: list[float]
    offset: float
    #: At which frames the clock was set anew, and to what.
    resets: dict[int, float]
    #: How many frames are decoded before the one that is shown before them.
    reorder: int
    lasting: bool

    @property
    def shown(self) -> list[float]:
        """When each frame is shown, without what was done to the clock."""
        times = [0.0]
        for step in self.steps:
            times.append(times[-1] + step)
        return times

    @property
    def stamped(self) -> list[float]:
        """What the recorder wrote."""
        times: list[float] = []
        moved = self.offset
        for number, time in enumerate(self.shown):
            if number in self.resets and not -BACK <= self.resets[number] - times[-1] <= AHEAD:
                moved = self.resets[number] - time
            times.append(time + moved)
        return times


rates = st.sampled_from([1 / 60, 1 / 30, 0.04, 0.2, 1.0])
#: An even rate, with pauses in it, or any distances at all.
steps = st.one_of(
    rates.flatmap(
        lambda rate: st.lists(
            st.one_of(st.just(rate), st.just(rate), st.floats(rate, 9.0)), min_size=1, max_size=60
        )
    ),
    st.lists(st.floats(0.001, 9.0), min_size=1, max_size=60),
)
lines = st.builds(
    Line,
    steps,
    offset=st.sampled_from([0.0, 10.0, 95_440.0]),
    resets=st.dictionaries(st.integers(1, 60), st.sampled_from([0.0, 30_000.0]), max_size=2),
    reorder=st.integers(0, 3),
    lasting=st.booleans(),
)


@contextmanager
def carrier(path: Path) -> Iterator[VideoStream]:
    with open_media(str(path)) as container:
        yield container.streams.video[0]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoStream]:
    path = record(tmp_path_factory.mktemp("carrier") / "a.ts", seconds=1, sound=None)
    with carrier(path) as stream:
        yield stream


def follow(line: Line, stream: VideoStream, resets: bool) -> Tally:
    """What a decoder and the steps make of the time line."""
    stamps, stamped = Stamps(stream, unstamped=False, resets=resets), line.stamped
    tally = Tally(stream, stamped[0], streamed=resets)
    order = sorted(range(len(stamped)), key=lambda n: n - (n % (line.reorder + 1) == 0) * 1.5)
    arrived: set[int] = set()
    shown = 0
    for number in order:
        packet: Packet[Any] = Packet(b"picture")
        packet.pts, packet.time_base = round(stamped[number] / CLOCK), CLOCK
        if line.lasting and number < len(line.steps):
            # In decoding order, as MP4 has it.
            packet.duration = round(line.steps[len(arrived) % len(line.steps)] / CLOCK)
        stamps.take(packet)
        arrived.add(number)
        frames = []
        while shown in arrived:
            frames.append(_frame(stamped[shown], packet.duration if line.lasting else 0))
            shown += 1
        stamps.place(frames)
        tally.take(packet, Decoded(packet, tuple(frames), shift=stamps.shift))
    tally.finish()
    return tally


def _frame(time: float, duration: int | None) -> VideoFrame:
    frame = VideoFrame(16, 16, "gray")
    frame.pts, frame.time_base = round(time / CLOCK), CLOCK
    frame.duration = duration or 0
    return frame


@settings(max_examples=300, deadline=None)
@given(line=lines)
@pytest.mark.parametrize("resets", [True, False])
def test_gaps_lie_within_the_file_in_order_and_do_not_overlap(
    stream: VideoStream, line: Line, resets: bool
) -> None:
    line = Line(
        line.steps,
        line.offset,
        {n: t for n, t in line.resets.items() if resets and n <= len(line.steps)},
        line.reorder,
        line.lasting,
    )
    tally = follow(line, stream, resets)
    assert tally.start is not None
    assert tally.end is not None
    for start, end in tally.gaps:
        assert tally.start <= start < end <= tally.end
    for before, after in pairwise(tally.gaps):
        assert before[1] <= after[0]
    # A clock that was set anew costs what the usual distance is another one than this one.
    longest = line.shown[-1] + max(*line.steps, 1.0) * (1 + len(line.resets))
    assert tally.end - tally.start <= longest + 1e-3
    assert tally.missing(None, []) == (0, "counted")
    assert tally.unordered == 0


CONTAINERS = ["mp4", "mkv", "ts", "flv"]


@settings(
    max_examples=3 if os.environ.get("CI") else 6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    pauses=st.dictionaries(st.integers(1, 47), st.floats(0.3, 8.0), max_size=3),
    how=st.fixed_dictionaries(
        {
            "rate": st.sampled_from([25, 10, 1]),
            "start": st.sampled_from([0.0, 10.0]),
            "codec_options": st.sampled_from([USUAL, NO_B_FRAMES]),
        }
    ),
)
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_what_is_told_of_a_real_file_lies_within_it(
    tmp_path: Path, suffix: str, pauses: dict[int, float], how: dict[str, Any]
) -> None:
    times, now = [], 0.0
    for number in range(48):
        now += pauses.get(number, 0.0)
        times.append(now + number / how["rate"])
    path = record(tmp_path / f"a.{suffix}", times=times, seconds=times[-1], **how)
    facts = look("integrity", path, tmp_path)
    assert (facts["missing"], facts["errors"], facts["damaged"]) == (0, 0, 0)
    assert facts["decoded_seconds"] <= times[-1] + 2 / how["rate"] + 0.2
    for told in facts["streams"]:
        for gap in told["gaps"]:
            assert told["start"] <= gap[0] < gap[1] <= told["end"]
        for before, after in pairwise(told["gaps"]):
            assert before[1] <= after[0]
