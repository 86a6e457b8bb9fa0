"""Whatever the time stamps are: stretches lie within their file, in order, and apart."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.assessment.conftest import check_stretches

from wherry.assessment.steps.audio import _Sound
from wherry.assessment.steps.visual import _Picture
from wherry.assessment.stretches import Marks, Stretches
from wherry.assessment.timeline import BACK, FORWARD, Timeline

WRAP = 2**33 / 90_000
MARKS = Marks("start", "end")


# Time stamps.

#: How one time stamp follows the one before, in seconds; None: it is missing.
STEPS = st.one_of(
    st.sampled_from([0.04, 0.04, 0.04, 1.0, 2.0, 6.0]),
    st.floats(0, 0.5),
    st.floats(-0.2, 12),
    st.sampled_from([-WRAP, WRAP, -3600.0, 7200.0, -5.0, 0.0]),
    st.none(),
)
TIMES = st.lists(STEPS, min_size=1, max_size=60)


def stamps(first: float, steps: list[float | None]) -> list[float | None]:
    """The time stamps that begin here and follow each other so."""
    known, made = first, list[float | None]()
    for step in steps:
        known += step or 0.0
        made.append(None if step is None else known)
    return made


@given(
    zero=st.one_of(st.none(), st.floats(-20, 20)),
    first=st.one_of(st.sampled_from([0.0, -0.04, 10.0, WRAP - 3]), st.floats(-30, 1e5)),
    steps=TIMES,
    lasts=st.floats(-1, 10),
    until=st.sampled_from([0.0, 20.0, math.inf]),
)
def test_time_never_runs_back(
    zero: float | None, first: float, steps: list[float | None], lasts: float, until: float
) -> None:
    line = Timeline(zero, 0.04, until)
    ends = [0.0]
    for stamp in stamps(first, steps):
        at = line.place(stamp, lasts)
        assert at >= 0
        assert line.start is not None
        assert at >= line.start
        if until == 0.0:
            # Nothing leads further ahead than a pause may.
            assert at <= ends[-1] + FORWARD + 1e-6
        assert line.latest == at
        assert line.end >= line.latest_end >= at
        ends.append(line.latest_end)


def test_a_regular_line_is_told_as_it_is() -> None:
    line = Timeline(zero=10.0)
    assert [line.place(10 + n / 25, 0.04) for n in range(100)] == pytest.approx(
        [n / 25 for n in range(100)]
    )
    assert line.start == 0.0
    assert line.end == pytest.approx(4.0)


def test_frames_without_a_time_stamp_follow_each_other() -> None:
    line = Timeline(zero=None, usual=0.04)
    assert [line.place(None) for _ in range(4)] == pytest.approx([0, 0.04, 0.08, 0.12])


def test_joined_parts_follow_each_other() -> None:
    line = Timeline(zero=1.4)
    placed = [line.place(1.4 + n % 50 / 25, 0.04) for n in range(150)]
    assert placed == pytest.approx([n / 25 for n in range(150)])


@pytest.mark.parametrize("jump", [-WRAP, WRAP])
def test_time_stamps_that_wrap_go_on(jump: float) -> None:
    line = Timeline(zero=5.0, pauses_until=0.0)
    placed = [line.place(5 + n / 25 + (jump if n >= 50 else 0), 0.04) for n in range(100)]
    assert placed == pytest.approx([n / 25 for n in range(100)], abs=1e-4)


def test_a_pause_that_the_file_has_room_for_stays() -> None:
    line = Timeline(zero=0.0, pauses_until=3600.0)
    assert [line.place(at, 0.04) for at in (0.0, 0.04, 600.0)] == [0.0, 0.04, 600.0]


def test_a_step_back_of_a_moment_is_no_new_clock() -> None:
    line = Timeline(zero=0.0)
    placed = [line.place(at, 0.04) for at in (0.0, 0.08, 0.04, 0.12)]
    assert placed == [0.0, 0.08, 0.08, 0.12]
    assert placed[1] - 0.04 < BACK


# Marks of filters.


@given(
    marks=st.lists(
        st.tuples(*[st.none() | st.sampled_from([math.nan, math.inf]) | st.floats(-1, 30)] * 2),
        max_size=40,
    ),
    at_least=st.floats(0, 2),
    joined=st.booleans(),
)
def test_stretches_are_in_order_whatever_a_filter_writes(
    marks: list[tuple[float | None, float | None]], at_least: float, joined: bool
) -> None:
    stretches, line = Stretches(at_least), Timeline(zero=0.0)
    line.place(0.0, 30.0)
    for start, end in marks:
        told = {"start": start, "end": end}
        written = {key: str(value) for key, value in told.items() if value is not None}
        MARKS.take(written, stretches, joined)
    check_stretches(stretches.render(0, line), 0.0, 30.0)


def test_both_marks_on_one_frame_are_one_stretch() -> None:
    stretches, line = Stretches(0.5), Timeline(zero=0.0)
    line.place(0.0, 20.0)
    MARKS.take({"start": "5", "end": "5.5"}, stretches)
    assert stretches.render(0, line)["ranges"] == [[5.0, 5.5]]


def test_an_end_before_a_beginning_is_of_the_stretch_before() -> None:
    stretches, line = Stretches(0.5), Timeline(zero=0.0)
    line.place(0.0, 20.0)
    MARKS.take({"start": "1"}, stretches)
    MARKS.take({"start": "5", "end": "3"}, stretches)
    assert stretches.render(0, line)["ranges"] == [[1.0, 3.0], [5.0, 20.0]]


# Real filters over generated time lines.

GREYS = [bytes([level]) for level in (16, 60, 120, 180, 235)]


def picture(look: int, stamp: float | None, lasts: float) -> VideoFrame:
    frame = VideoFrame(16, 16, "yuv420p")
    for plane, fill in zip(frame.planes, (GREYS[look], b"\x80", b"\x80"), strict=True):
        plane.update(fill * plane.buffer_size)
    frame.time_base = Fraction(1, 90_000)
    frame.pts = None if stamp is None else round(stamp * 90_000)
    frame.duration = round(lasts * 90_000)
    return frame


@settings(max_examples=60, deadline=None)
@given(
    first=st.sampled_from([0.0, -0.5, 10.0, WRAP - 0.5]),
    shots=st.lists(st.tuples(STEPS, st.integers(0, 4)), min_size=1, max_size=40),
    lasts=st.sampled_from([0.0, 0.04, 1.0, 4.0]),
    until=st.sampled_from([0.0, math.inf]),
)
@example(first=0.0, shots=[(1.0, n % 5) for n in range(20)], lasts=1.0, until=math.inf)
@example(first=0.0, shots=[(1.0, n // 4 % 5) for n in range(20)], lasts=1.0, until=math.inf)
@example(first=0.0, shots=[(0.04, 0)] * 14 + [(0.04, 3), (6.0, 2)], lasts=0.04, until=math.inf)
def test_pictures_of_any_time_line_have_stretches_in_order(
    first: float, shots: list[tuple[float | None, int]], lasts: float, until: float
) -> None:
    line = Timeline(first, 0.04, until)
    seen = _Picture(line)
    times = stamps(first, [step for step, _ in shots])
    for (_, look), stamp in zip(shots, times, strict=True):
        seen.take(picture(look, stamp, lasts))
    facts = seen.render(0)
    for part in ("black", "freeze", "blur"):
        check_stretches(facts[part], line.start or 0.0, line.end)


SHAPES = [(48_000, "stereo"), (8_000, "mono"), (44_100, "7.1")]


def sound(loud: bool, stamp: float | None, shape: tuple[int, str], samples: int) -> AudioFrame:
    frame = AudioFrame("s16", shape[1], samples)
    frame.sample_rate, frame.time_base = shape[0], Fraction(1, 90_000)
    frame.pts = None if stamp is None else round(stamp * 90_000)
    data = b"\xff\x7f" if loud else b"\0\0"
    frame.planes[0].update(data * (frame.planes[0].buffer_size // 2))
    return frame


@settings(max_examples=60, deadline=None)
@given(
    first=st.sampled_from([0.0, -0.5, 10.0, WRAP - 0.5]),
    parts=st.lists(
        st.tuples(st.sampled_from([0.1, 0.1, 0.05, 0.4, 3.0, -2.0, None]), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    shape=st.sampled_from(SHAPES),
    until=st.sampled_from([0.0, math.inf]),
)
@example(first=0.0, parts=[(0.1, False)] * 3 + [(0.05, False)], shape=SHAPES[0], until=math.inf)
def test_sound_of_any_time_line_has_stretches_in_order(
    first: float,
    parts: list[tuple[float | None, bool]],
    shape: tuple[int, str],
    until: float,
) -> None:
    line = Timeline(first, 0.0, until)
    heard = _Sound(line, 3.0)
    times = stamps(first, [step for step, _ in parts])
    for (_, loud), stamp in zip(parts, times, strict=True):
        heard.take(sound(loud, stamp, shape, shape[0] // 10))
    facts = heard.render(1)
    for part in ("silence", "clipping"):
        check_stretches(facts[part], line.start or 0.0, line.end)
