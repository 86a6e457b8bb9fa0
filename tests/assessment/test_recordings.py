"""What recorders, cameras and editors leave is judged by what is in it, not by its headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import look
from tests.assessment.recordings import (
    FRAGMENTED,
    NO_B_FRAMES,
    USUAL,
    boxes,
    cut,
    joined,
    patched,
    record,
    with_cover,
    with_subtitles,
)

from wherry.assessment.policy import POLICIES
from wherry.assessment.progress import StepResult
from wherry.assessment.report import find
from wherry.testing.video import make_video

Facts = dict[str, Any]
Found = list[tuple[str, str]]


def examine(path: Path, folder: Path, policy: str = "web") -> tuple[Facts, Found]:
    """What `integrity` finds, and what the policy makes of it."""
    facts = look("integrity", path, folder)
    result = StepResult("integrity", "done", 0.0, facts)
    findings = list(find(path.stat().st_size, POLICIES[policy], [result]))
    return facts, [(finding.code, finding.severity.value) for finding in findings]


def moved(path: Path, seconds: int) -> Path:
    """The clock of every fragment set ahead, as in a part of a live stream."""
    scales = {0: 90_000, 1: 48_000}
    data, number = path.read_bytes(), -1
    changed = bytearray(data)
    for name, at, _ in boxes(data):
        if name == b"tfhd":
            number = int.from_bytes(data[at + 12 : at + 16], "big") - 1
        if name == b"tfdt":
            wide = 8 if data[at + 8] else 4
            time = int.from_bytes(data[at + 12 : at + 12 + wide], "big") + seconds * scales[number]
            changed[at + 12 : at + 12 + wide] = time.to_bytes(wide, "big")
    path.write_bytes(changed)
    return path


def paused(path: Path, **how: Any) -> Path:
    times = [n / 25 if n < 50 else n / 25 + 6 for n in range(100)]
    return record(path, times=times, seconds=10, **how)


def trimmed(path: Path) -> Path:
    """The edit list hides the last third; the media is all there."""

    def two_thirds(value: int) -> int:
        return value * 2 // 3

    return patched(
        record(path),
        (b"elst", 16, two_thirds),
        (b"mvhd", 24, two_thirds),
        (b"tkhd", 28, two_thirds),
    )


def trimmed_at_the_beginning(path: Path) -> Path:
    """The edit list begins a second and a half in, between key frames."""
    rates = iter((90_000, 48_000))
    path = record(path, codec_options=NO_B_FRAMES)
    return patched(path, (b"elst", 20, lambda begin: begin + next(rates) * 3 // 2))


def song(path: Path, codec: str = "mp3") -> Path:
    return make_video(path, seconds=4, video=False, silence=None, codec=codec)


def twice(path: Path) -> Path:
    path.write_bytes(path.read_bytes() * 2)
    return path


def unsized(path: Path) -> Path:
    """As written to a pipe, and longer than a number of whole packets."""
    data = bytearray(song(path, "pcm_s16le").read_bytes())
    data[4:8] = b"\xff" * 4
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff" * 4
    path.write_bytes(data[:-2048])
    return path


def uncounted(path: Path) -> Path:
    """As written to a pipe: the header has numbers that were to be filled in later."""
    data = bytearray(path.read_bytes())
    data[4:8] = bytes(4)
    at = data.index(b"vids")
    data[at + 32 : at + 36] = b"\0\0\0\x40"
    path.write_bytes(data)
    return path


GOOD: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "plain": ("mp4", record),
    "trimmed at the end": ("mp4", trimmed),
    "trimmed at the beginning": ("mp4", trimmed_at_the_beginning),
    "cover without a time": ("mp4", lambda path: with_cover(record(path))),
    "fragments": ("mp4", lambda path: record(path, options=FRAGMENTED)),
    "live clock": ("mp4", lambda path: moved(record(path, options=FRAGMENTED), 10)),
    "live clock far ahead": ("mp4", lambda path: moved(record(path, options=FRAGMENTED), 20_000)),
    "subtitles longer": (
        "mkv",
        lambda path: with_subtitles(path, record(path.with_suffix(".mp4")), 12),
    ),
    "timed text longer": (
        "mov",
        lambda path: with_subtitles(path, record(path.with_suffix(".mp4")), 12),
    ),
    "media recorder": ("mkv", lambda path: record(path, options={"live": "1"})),
    "media recorder, webm": (
        "webm",
        lambda path: record(
            path,
            codec="libvpx",
            codec_options={"deadline": "realtime", "cpu-used": "8"},
            sound="libopus",
            options={"live": "1"},
        ),
    ),
    "avi with B-frames": ("avi", lambda path: record(path, sound="mp3")),
    "avi with MPEG-4": (
        "avi",
        lambda path: record(path, codec="mpeg4", codec_options={"bf": "2"}, sound="mp3", clock=25),
    ),
    "flv": ("flv", record),
    "flv that is live": ("flv", lambda path: record(path, start=10.0)),
    "asf with B-frames": ("asf", lambda path: record(path, sound="mp3")),
    "wav of unknown size": ("wav", lambda path: unsized(path)),
    "songs that were joined": ("mp3", lambda path: twice(song(path))),
    "avi of unknown size": ("avi", lambda path: uncounted(record(path, sound="mp3"))),
    "raw H.264": ("h264", lambda path: record(path, sound=None)),
    "raw HEVC": (
        "hevc",
        lambda path: record(
            path, sound=None, codec="libx265", codec_options={"preset": "ultrafast"}
        ),
    ),
    "one picture a second": ("mkv", lambda path: record(path, rate=1, seconds=12)),
    "slides of different lengths": (
        "mkv",
        lambda path: record(path, times=[0, 4, 7, 13, 17, 21, 26], seconds=26.5),
    ),
    "transport stream": ("ts", record),
    "transport stream that wraps": ("ts", lambda path: record(path, start=2**33 / 90_000 - 2)),
    "intra refresh": (
        "ts",
        lambda path: record(
            path, codec_options={**NO_B_FRAMES, "x264-params": "intra-refresh=1:keyint=50"}
        ),
    ),
    "MPEG-2 in a program stream": (
        "mpg",
        lambda path: record(
            path, codec="mpeg2video", codec_options={"bf": "2"}, sound="mp2", clock=25
        ),
    ),
}


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("policy", ["web", "archive"])
def test_a_good_file_has_no_finding(tmp_path: Path, case: str, policy: str) -> None:
    suffix, make = GOOD[case]
    facts, found = examine(make(tmp_path / f"a.{suffix}"), tmp_path, policy)
    assert found == []
    assert facts["missing"] == 0


@pytest.mark.parametrize("coded", [USUAL, NO_B_FRAMES])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv", "ts"])
def test_a_recorders_pause_is_a_gap_and_no_missing_frames(
    tmp_path: Path, suffix: str, coded: dict[str, str]
) -> None:
    facts, found = examine(paused(tmp_path / f"a.{suffix}", codec_options=coded), tmp_path)
    assert found == [("INT-GAP", "warn")]
    assert facts["missing"] == 0
    picture = facts["streams"][0]
    (start, end), first = picture["gaps"][0], picture["start"]
    assert (start - first, end - first) == pytest.approx((2.0, 8.0), abs=0.02)
    assert picture["end"] - first == pytest.approx(10.0, abs=0.1)


def test_the_trimmed_end_is_neither_missing_nor_counted(tmp_path: Path) -> None:
    facts, _ = examine(trimmed(tmp_path / "a.mp4"), tmp_path)
    assert (facts["expected"], facts["decoded_seconds"]) == (67, pytest.approx(2.67, abs=0.05))


# Recordings that were cut or joined without regard to frames.

CUT: dict[str, dict[str, Any]] = {
    "open groups": {"codec_options": {**USUAL, "x264-params": "open-gop=1"}},
    "intra refresh": {"codec_options": {**NO_B_FRAMES, "x264-params": "intra-refresh=1:keyint=25"}},
    "HEVC": {
        "codec": "libx265",
        "codec_options": {"preset": "ultrafast", "x265-params": "keyint=25:open-gop=1:bframes=3"},
    },
    "MPEG-2": {
        "codec": "mpeg2video",
        "codec_options": {"bf": "2", "g": "12"},
        "sound": "mp2",
        "clock": 25,
    },
}


@pytest.mark.parametrize("begin", [0.13, 0.2, 0.31])
@pytest.mark.parametrize("coded", CUT)
def test_a_recording_that_begins_between_key_frames_is_no_damage(
    tmp_path: Path, begin: float, coded: str
) -> None:
    path = cut(record(tmp_path / "a.ts", **CUT[coded]), begin, 1.0, 188)
    facts, found = examine(path, tmp_path)
    assert (facts["errors"], facts["damaged"], facts["missing"]) == (0, 0, 0)
    assert {severity for _, severity in found} <= {"info"}
    assert facts["streams"][0]["leading"] > 0


@pytest.mark.parametrize("end", [0.5, 0.62, 0.777])
@pytest.mark.parametrize("unit", [1, 188])
def test_a_recording_that_ends_in_mid_frame_is_told_as_cut(
    tmp_path: Path, end: float, unit: int
) -> None:
    facts, found = examine(cut(record(tmp_path / "a.ts"), 0.0, end, unit), tmp_path)
    assert (facts["errors"], facts["damaged"], facts["missing"]) == (0, 0, 0)
    assert found in ([("INT-CUT-OFF", "warn")], [] if unit == 188 else None)


def test_recordings_that_were_joined_have_a_clock_that_is_set_anew(tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{n}.ts", start=1000.0 * n) for n in range(2)]
    facts, found = examine(joined(tmp_path / "a.ts", *parts), tmp_path)
    assert found == [("INT-CLOCK", "info")]
    assert facts["decoded_seconds"] == pytest.approx(8.0, abs=0.2)
    assert facts["streams"][0]["resets"] == [pytest.approx(4.0, abs=0.1)]


# What is lost, is missed.


def cut_at(share: float, **how: Any) -> Callable[[Path], Path]:
    return lambda path: cut(record(path, **how), 0.0, share)


BAD: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "index in front": ("mp4", cut_at(0.6, options={"movflags": "faststart"})),
    "last bytes": ("mp4", cut_at(0.999, options={"movflags": "faststart"})),
    "fragments": ("mp4", cut_at(0.6, options=FRAGMENTED)),
    "segment index": (
        "mp4",
        cut_at(0.6, options={"movflags": "frag_keyframe+empty_moov+dash+global_sidx"}),
    ),
    "matroska": ("mkv", cut_at(0.6)),
    "media recorder": ("mkv", cut_at(0.6, options={"live": "1"})),
    "avi": ("avi", cut_at(0.6, sound="mp3")),
    "flv": ("flv", cut_at(0.6)),
    "ivf": (
        "ivf",
        cut_at(
            0.6,
            sound=None,
            codec="libvpx",
            codec_options={"deadline": "realtime", "cpu-used": "8"},
        ),
    ),
    "ogg": ("ogg", lambda path: cut(song(path, "libopus"), 0.0, 0.6)),
    "wav": ("wav", lambda path: cut(song(path, "pcm_s16le"), 0.0, 0.6)),
    "wave64": ("w64", lambda path: cut(song(path, "pcm_s16le"), 0.0, 0.6)),
    "core audio": ("caf", lambda path: cut(song(path, "pcm_s16be"), 0.0, 0.6)),
    "aiff": ("aiff", lambda path: cut(song(path, "pcm_s16be"), 0.0, 0.6)),
    "mxf": (
        "mxf",
        cut_at(0.6, codec="mpeg2video", codec_options={}, clock=25, sound="pcm_s16le"),
    ),
    "asf": ("asf", cut_at(0.6, sound="mp3")),
}


@pytest.mark.parametrize(
    ("suffix", "codec", "unit"), [("ogg", "libopus", 1), ("ts", "aac", 188), ("ts", "aac", 1)]
)
def test_bytes_in_the_middle_that_make_no_sense_are_told(
    tmp_path: Path, suffix: str, codec: str, unit: int
) -> None:
    path = song(tmp_path / f"a.{suffix}", codec)
    data = path.read_bytes()
    middle = len(data) // 2 // unit * unit
    path.write_bytes(data[:middle] + bytes(9000 // unit * unit) + data[middle + 9000 :])
    facts, found = examine(path, tmp_path)
    assert ("INT-SKIPPED", "fail") in found
    assert facts["skipped_bytes"] >= 8000


def test_room_that_a_recorder_had_taken_is_no_damage(tmp_path: Path) -> None:
    path = record(tmp_path / "a.ts")
    path.write_bytes(path.read_bytes() + b"\xff" * 50_000)
    facts, found = examine(path, tmp_path)
    assert (facts["skipped_bytes"], found) == (0, [("INT-CUT-OFF", "warn")])


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_lost_its_end_fails(tmp_path: Path, case: str) -> None:
    suffix, make = BAD[case]
    facts, found = examine(make(tmp_path / f"a.{suffix}"), tmp_path)
    assert ("INT-TRUNCATED", "fail") in found
    assert facts["missing_bytes"] > 0


def test_an_flv_file_cut_between_two_tags_is_missed_by_the_size_that_it_says(
    tmp_path: Path,
) -> None:
    path = record(tmp_path / "a.flv")
    data, at = path.read_bytes(), 13
    while at < len(data) * 0.6:
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
    path.write_bytes(data[:at])
    facts, found = examine(path, tmp_path)
    assert found == [("INT-TRUNCATED", "fail")]
    assert facts["missing_bytes"] == len(data) - at


def test_a_file_cut_between_two_fragments_is_missed_by_its_segment_index(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+dash+global_sidx"}
    path = record(tmp_path / "a.mp4", options=options)
    fragments = [at for name, at, _ in boxes(path.read_bytes()) if name == b"moof"]
    path.write_bytes(path.read_bytes()[: fragments[len(fragments) // 2]])
    facts, found = examine(path, tmp_path)
    assert found[0] == ("INT-TRUNCATED", "fail")
    assert facts["streams"][0]["missing_end"] == pytest.approx(2.0, abs=0.5)


def test_a_file_that_ends_behind_its_header_is_empty(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", options=FRAGMENTED)
    first = next(at for name, at, _ in boxes(path.read_bytes()) if name == b"moof")
    path.write_bytes(path.read_bytes()[:first])
    _, found = examine(path, tmp_path)
    assert found == [("INT-EMPTY", "fail"), ("INT-EMPTY", "warn")]


def test_a_file_cut_between_two_fragments_is_missed_by_nobody_else(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", options=FRAGMENTED)
    fragments = [at for name, at, _ in boxes(path.read_bytes()) if name == b"moof"]
    path.write_bytes(path.read_bytes()[: fragments[2]])
    _, found = examine(path, tmp_path)
    assert found == []
