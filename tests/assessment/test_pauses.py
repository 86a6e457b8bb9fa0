"""A still ends where it ends, in files with pauses, slides, joins, and few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from tests.assessment.conftest import Assess, check_stretches, codes, look
from tests.assessment.recordings import NO_B_FRAMES, joined, record

from wherry.assessment.findings import find_in_integrity, find_in_visual
from wherry.assessment.policy import POLICIES
from wherry.assessment.schema import Integrity, Visual
from wherry.testing.video import make_video

#: What stands between two pictures that differ: the level of grey of every slide.
SLIDES = (40, 200, 90, 160, 60, 220)


def slides(path: Path, times: Sequence[float], looks: Sequence[int], last: float = 1.0) -> Path:
    """Pictures without loss at these seconds; `looks` are numbers of slides."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, (time, slide) in enumerate(zip(times, looks, strict=True)):
            frame = VideoFrame(64, 48, "yuv420p")
            for plane, level in zip(frame.planes, (SLIDES[slide], 128, 128), strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            following = times[number + 1] if number + 1 < len(times) else time + last
            for packet in stream.encode(frame):
                packet.duration = round((following - time) * 1000)
                out.mux(packet)
        out.mux(stream.encode(None))
    return path


def stills(path: Path, folder: Path) -> list[list[float]]:
    facts = look("visual", path, folder)["freeze"]
    assert facts["count"] == len(facts["ranges"])
    ranges: list[list[float]] = facts["ranges"]
    return ranges


def near(*ranges: tuple[float, float], within: float = 0.045) -> Any:
    return [pytest.approx(stretch, abs=within) for stretch in ranges]


def test_a_still_ends_where_pictures_come_again(tmp_path: Path) -> None:
    times = [n / 25 if n < 75 else n / 25 + 6 for n in range(150)]
    path = record(tmp_path / "a.mp4", seconds=12, times=times, codec_options=NO_B_FRAMES)
    assert stills(path, tmp_path) == near((2.96, 9.0))


def test_a_still_of_half_a_second_is_half_a_second_long(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.mp4",
        seconds=8,
        width=160,
        height=90,
        black=None,
        freeze=(5, 5.5),
        silence=None,
    )
    assert stills(path, tmp_path) == near((5.0, 5.5))


def test_a_pause_of_a_third_of_a_second_is_no_longer(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", seconds=20, video=False, codec="flac", silence=(10, 10.4))
    assert look("audio", path, tmp_path)["silence"]["ranges"] == near((10.0, 10.4))


@pytest.mark.parametrize("apart", [1, 2, 4])
def test_pictures_at_a_slow_pace_do_not_stand_still(tmp_path: Path, apart: int) -> None:
    times = [n * apart for n in range(12)]
    path = slides(tmp_path / "a.mkv", times, [n % 6 for n in range(12)], apart)
    assert stills(path, tmp_path) == []


@pytest.mark.parametrize("stays", [2, 4])
def test_slides_are_stills_side_by_side_and_no_frozen_video(
    assess_here: Assess, tmp_path: Path, stays: int
) -> None:
    path = slides(tmp_path / "a.mkv", range(24), [n // stays % 6 for n in range(24)])
    ranges = stills(path, tmp_path)
    assert ranges == near(*pairwise(float(n) for n in range(0, 25, stays)))
    assert "fail" not in {
        f["severity"] for f in assess_here(path)["findings"] if "VIS" in f["code"]
    }


def test_one_still_of_the_whole_video_is_a_frozen_video(
    assess_here: Assess, tmp_path: Path
) -> None:
    path = slides(tmp_path / "a.mkv", [n / 5 for n in range(40)], [1] * 40, 0.2)
    assert stills(path, tmp_path) == near((0.0, 8.0))
    assert "VIS-FREEZE" in codes(assess_here(path), "fail")


def test_a_last_picture_that_is_shown_for_long_is_a_still(tmp_path: Path) -> None:
    path = slides(tmp_path / "a.mkv", [n / 5 for n in range(20)], [n % 6 for n in range(20)], 5)
    assert stills(path, tmp_path) == near((3.8, 8.8))


def test_a_black_frame_is_no_black_stretch(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.mp4",
        seconds=3,
        width=160,
        height=90,
        black=(1, 1.04),
        freeze=None,
        silence=None,
    )
    assert look("visual", path, tmp_path)["black"]["count"] == 0


def test_stretches_of_joined_recordings_are_at_their_places(tmp_path: Path) -> None:
    part = make_video(
        tmp_path / "part.ts",
        seconds=6,
        width=160,
        height=90,
        black=(1, 2),
        freeze=(3, 4),
        silence=(4, 5),
    )
    path = joined(tmp_path / "joined.ts", part, part, part)
    seen, heard = look("visual", path, tmp_path), look("audio", path, tmp_path)
    assert seen["black"]["ranges"] == near((1, 2), (7, 8), (13, 14), within=0.1)
    assert seen["freeze"]["ranges"][1::2] == near((3, 4), (9, 10), (15, 16), within=0.1)
    assert heard["silence"]["ranges"] == near((4, 5), (10, 11), (16, 17), within=0.1)


@pytest.mark.parametrize("start", [10.0, 3600.0, 2**33 / 90_000 - 3])
def test_times_count_from_the_beginning_whatever_the_clock_says(
    tmp_path: Path, start: float
) -> None:
    times = [n / 25 if n < 50 else n / 25 + 2 for n in range(100)]
    path = record(tmp_path / "a.ts", seconds=6, times=times, start=start, codec_options=NO_B_FRAMES)
    assert stills(path, tmp_path) == near((1.96, 4.0), within=0.1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv", "avi"])
@pytest.mark.parametrize(("rate", "start"), [(25, 0.0), (1, 10.0)])
def test_nothing_in_a_report_is_longer_than_its_file(
    assess_here: Assess, tmp_path: Path, suffix: str, rate: int, start: float
) -> None:
    times, now = [], 0.0
    for number in range(40):
        now += {0: 0.0, 10: 3.0, 30: 0.6}.get(number, 1 / rate)
        times.append(now)
    sound = "mp3" if suffix in ("avi", "flv") else "aac"
    report = assess_here(
        record(
            tmp_path / f"a.{suffix}",
            seconds=now,
            times=times,
            start=start,
            sound=sound,
            rate=rate,
        )
    )
    found = report["integrity"]
    end = max(found["declared_seconds"] or 0.0, found["decoded_seconds"]) + 0.05
    seen, heard = report["visual"], report["audio"]
    for part in (seen["black"], seen["freeze"], seen["blur"], heard["silence"], heard["clipping"]):
        check_stretches(part, 0.0, end)
    for stream in found["streams"]:
        for gap_start, gap_end in stream["gaps"]:
            assert 0 <= gap_start < gap_end <= end
    for picture in report["artefacts"]:
        assert 0 <= (picture["time"] or 0.0) <= end
    for finding in report["findings"]:
        assert 0 <= (finding["start"] or 0.0) <= (finding["end"] or end) <= end


GAP = {
    "index": 0,
    "type": "video",
    "frames": 150,
    "first_errors": [],
    "gaps": [[3.0, 9.0]],
    "gap_count": 1,
}
PAUSED = Integrity.model_validate(
    {
        "errors": 0,
        "damaged": 0,
        "missing": 0,
        "expected": 150,
        "declared_seconds": 12.0,
        "decoded_seconds": 12.0,
        "missing_seconds": 0.0,
        "video_longer_by": 0.0,
        "unannounced": 0,
        "streams": [GAP],
    }
)


@pytest.mark.parametrize(
    ("still", "told"),
    [
        ([2.96, 9.0], ["INT-GAP"]),
        # It stood still before the pause, too.
        ([0.0, 9.0], ["INT-GAP", "VIS-FREEZE"]),
        ([9.5, 12.0], ["INT-GAP", "VIS-FREEZE"]),
    ],
)
def test_a_pause_is_one_finding(still: list[float], told: list[str]) -> None:
    freeze = {"stream": 0, "ranges": [still], "count": 1, "share": 0.5, "longest_share": 0.5}
    seen = Visual.model_validate({"freeze": freeze})
    policy = POLICIES["web"]
    found = [*find_in_integrity(PAUSED, policy), *find_in_visual(seen, policy, PAUSED)]
    assert [finding.code for finding in found] == told


def test_a_pause_that_no_policy_minds_is_told_as_a_still() -> None:
    freeze = {"stream": 0, "ranges": [[2.96, 9.0]], "count": 1, "share": 0.5}
    seen = Visual.model_validate({"freeze": freeze})
    minds = POLICIES["web"]
    policy = type(minds)("mine", {k: v for k, v in minds.limits.items() if k != "gap"})
    assert [f.code for f in find_in_visual(seen, policy, PAUSED)] == ["VIS-FREEZE"]


# Pictures of files in which nothing can be looked up.


@pytest.mark.parametrize("name", ["a.h264", "a.hevc", "a.m2v", "a.m4v", "refresh.ts", "cut.ts"])
def test_every_video_has_its_pictures(assess_here: Assess, tmp_path: Path, name: str) -> None:
    codec = {"a.hevc": "libx265", "a.m2v": "mpeg2video", "a.m4v": "mpeg4"}.get(name, "libx264")
    options = {
        "libx264": {"preset": "ultrafast"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    }.get(codec, {})
    if name.endswith(".ts"):
        options["x264-params"] = "intra-refresh=1:keyint=25:bframes=0"
    path = tmp_path / name
    moving(path, codec, options)
    if name == "cut.ts":
        # As a receiver does that is switched on in mid-programme: there is no key frame.
        path.write_bytes(path.read_bytes()[path.stat().st_size // 188 // 3 * 188 :])
    report = assess_here(path)
    assert "STEP-FAILED" not in codes(report)
    kinds = {picture["kind"] for picture in report["artefacts"]}
    assert kinds >= {"poster", "contact-sheet", "storyboard"}


def test_raw_video_is_looked_at_in_the_sandbox(assess: Assess, tmp_path: Path) -> None:
    path = tmp_path / "camera.h264"
    moving(path, "libx264", {"preset": "ultrafast"})
    report = assess(path)
    assert "fail" not in report["verdict"]
    assert len(report["artefacts"]) == 4


def moving(path: Path, codec: str, options: dict[str, str]) -> None:
    """Four seconds of a picture that moves, as packets of their own or in a transport stream."""
    container = {".m2v": "mpeg2video"}.get(path.suffix)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(100):
            frame = VideoFrame(160, 120, "yuv420p")
            for plane in frame.planes:
                plane.update(
                    bytes((number * 2 + i * 7) % 220 + 16 for i in range(plane.buffer_size))
                )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
