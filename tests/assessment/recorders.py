"""What common recorders leave, each as a small file made here, and the verdict that it gets.

`python -m tests.assessment.recorders` writes the table of docs/reference/recorders.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from tests.assessment.recordings import (
    FRAGMENTED,
    NO_B_FRAMES,
    cut,
    joined,
    patched,
    record,
    with_cover,
    with_subtitles,
    without_decoder,
)

from wherry.assessment.policy import POLICIES
from wherry.assessment.progress import StepResult
from wherry.assessment.report import render_report
from wherry.core.upload import Upload

PAGE = Path(__file__).parents[2] / "docs/reference/recorders.md"
BEGIN, END = "<!-- made by tests/assessment/recorders.py -->\n", "<!-- end -->\n"
Make = Callable[[Path], Path]

VP8: dict[str, Any] = {
    "codec": "libvpx",
    "codec_options": {"deadline": "realtime", "cpu-used": "8"},
}
VP9: dict[str, Any] = {
    "codec": "libvpx-vp9",
    "codec_options": {"deadline": "realtime", "cpu-used": "8"},
}
HEVC: dict[str, Any] = {
    "codec": "libx265",
    "codec_options": {"preset": "ultrafast", "x265-params": "log-level=error:keyint=25"},
}
MPEG2: dict[str, Any] = {
    "codec": "mpeg2video",
    "codec_options": {"bf": "2", "g": "12"},
    "clock": 25,
}
MPEG4: dict[str, Any] = {"codec": "mpeg4", "codec_options": {"bf": "2"}, "clock": 25}
MJPEG: dict[str, Any] = {"codec": "mjpeg", "codec_options": {}, "clock": 25, "pixels": "yuvj420p"}
LIVE: dict[str, Any] = {"options": {"live": "1"}}


@dataclass(frozen=True)
class Recorder:
    """One line of the table; `oddity` is what a program that believes headers stumbles over."""

    name: str
    suffix: str
    codecs: str
    oddity: str
    make: Make
    verdict: str = "pass"
    findings: tuple[str, ...] = ()


def recorder(name: str, suffix: str, codecs: str, oddity: str, **how: Any) -> Recorder:
    told = {key: how.pop(key) for key in ("verdict", "findings") if key in how}
    make = how.pop("make", None) or (lambda path: record(path, **how))
    return Recorder(name, suffix, codecs, oddity, make, **told)


def uneven(rate: float = 30.0, count: int = 100) -> list[float]:
    """A telephone in the dark: pictures come later and later, then in time again."""
    times, now = [], 0.0
    for number in range(count):
        times.append(now)
        now += (1 if number % 50 < 25 else 2) / rate
    return times


def with_pauses(after: dict[int, float], count: int = 100) -> list[float]:
    """25 pictures a second, and none for so many seconds after some of them."""
    times, now = [], 0.0
    for number in range(count):
        times.append(now)
        now += 0.04 + after.get(number, 0.0)
    return times


def shortened(path: Path) -> Path:
    """The last half is hidden by the edit list."""

    def half(value: int) -> int:
        return value // 2

    return patched(record(path), (b"elst", 16, half), (b"mvhd", 24, half), (b"tkhd", 28, half))


def segments(path: Path) -> Path:
    """What one encoder made, written in three files, and put together again."""
    whole = record(path.with_suffix(".whole.ts"), seconds=6, start=10.0)
    parts = [path.with_suffix(f".{number}.ts") for number in range(3)]
    with av.open(str(whole)) as source:
        packets = [packet for packet in source.demux() if packet.dts is not None]
        begin = min(float((packet.dts or 0) * packet.time_base) for packet in packets)
        for number, part in enumerate(parts):
            with av.open(str(part), "w") as out:
                copies = [out.add_stream_from_template(stream) for stream in source.streams]
                for packet in packets:
                    # Key frames are a second apart.
                    at = float((packet.dts or 0) * packet.time_base) - begin
                    if min(int(at / 2), 2) == number:
                        packet.stream = copies[packet.stream.index]
                        out.mux(packet)
    return joined(path, *parts)


def programmes(path: Path) -> Path:
    parts = [
        record(path.with_suffix(f".{n}.ts"), start=20_000.0 * n, sound="mp2", **MPEG2)
        for n in range(2)
    ]
    return joined(path, *parts)


RECORDERS = (
    recorder("iPhone", "mov", "HEVC, AAC", "index at the end", **HEVC),
    recorder(
        "iPhone 16 and later",
        "mov",
        "H.264, AAC, APAC",
        "a second sound track without a decoder",
        make=lambda path: without_decoder(record(path, sounds=2)),
        findings=("CODEC-UNKNOWN",),
    ),
    recorder("iPhone, trimmed", "mov", "H.264, AAC", "an edit list hides the end", make=shortened),
    recorder("Android", "mp4", "H.264, AAC", "the rate varies", times=uneven(), seconds=5, rate=30),
    recorder(
        "GoPro",
        "mp4",
        "H.264, AAC, timed data",
        "a track of data ends later",
        make=lambda path: with_subtitles(path, record(path.with_suffix(".mov")), 9),
    ),
    recorder("OBS Studio", "mkv", "H.264, AAC", "two sound tracks", sounds=2),
    recorder("OBS Studio, hybrid", "mp4", "H.264, AAC", "fragments", options=FRAGMENTED),
    recorder("OBS Studio", "flv", "H.264, AAC", "the clock does not begin at 0", start=5.0),
    recorder(
        "MediaRecorder, Chrome",
        "webm",
        "VP8, Opus",
        "no length, no index",
        **VP8,
        **LIVE,
        sound="libopus",
    ),
    recorder(
        "MediaRecorder, Chrome",
        "webm",
        "VP9, Opus",
        "no length, a rate that varies",
        **VP9,
        **LIVE,
        sound="libopus",
        times=uneven(),
        seconds=5,
        rate=30,
    ),
    recorder(
        "MediaRecorder, Safari", "mp4", "H.264, AAC", "fragments, no length", options=FRAGMENTED
    ),
    recorder(
        "Zoom and its like",
        "mp4",
        "H.264, AAC",
        "no picture while nothing changes",
        times=with_pauses({40: 3.0}),
        seconds=7,
        verdict="warn",
        findings=("INT-GAP",),
    ),
    recorder(
        "Screen recorder",
        "mkv",
        "H.264, AAC",
        "two pauses",
        times=with_pauses({30: 2.0, 60: 4.0}),
        seconds=10,
        codec_options=NO_B_FRAMES,
        verdict="warn",
        findings=("INT-GAP", "INT-GAP"),
    ),
    recorder(
        "Time lapse",
        "mp4",
        "H.264",
        "a picture a second, no sound",
        rate=1,
        seconds=12,
        sound=None,
        verdict="warn",
        findings=("AUDIO-MISSING",),
    ),
    recorder(
        "CCTV camera",
        "h264",
        "H.264",
        "no container",
        sound=None,
        verdict="warn",
        findings=("AUDIO-MISSING",),
    ),
    recorder(
        "CCTV camera", "avi", "Motion JPEG, PCM", "no time stamps", **MJPEG, sound="pcm_s16le"
    ),
    recorder(
        "Digital camera", "avi", "MPEG-4, MP3", "B-frames without time stamps", **MPEG4, sound="mp3"
    ),
    recorder(
        "Camcorder", "ts", "H.264, AC-3", "the clock wraps", start=2**33 / 90_000 - 2, sound="ac3"
    ),
    recorder(
        "Set-top box",
        "ts",
        "MPEG-2, MP2",
        "cut between key frames",
        make=lambda path: cut(record(path, sound="mp2", **MPEG2), 0.13, 1.0, 188),
        findings=("INT-LEADING",),
    ),
    recorder(
        "Set-top box",
        "ts",
        "MPEG-2, MP2",
        "cut at both ends",
        make=lambda path: cut(record(path, sound="mp2", **MPEG2), 0.13, 0.77),
        verdict="warn",
        findings=("INT-CUT-OFF", "INT-LEADING"),
    ),
    recorder(
        "Set-top box",
        "ts",
        "MPEG-2, MP2",
        "two programmes joined",
        make=programmes,
        findings=("INT-CLOCK",),
    ),
    recorder("HLS, segments joined", "ts", "H.264, AAC", "packets counted anew", make=segments),
    recorder("DVD", "mpg", "MPEG-2, MP2", "no length", **MPEG2, sound="mp2"),
    recorder("Windows", "wmv", "H.264, MP3", "B-frames without time stamps", sound="mp3"),
    recorder(
        "Music, with its cover",
        "mp4",
        "H.264, AAC",
        "a picture without a time",
        make=lambda path: with_cover(record(path)),
    ),
    recorder(
        "Film with subtitles",
        "mkv",
        "H.264, AAC, SubRip",
        "the last one ends later",
        make=lambda path: with_subtitles(path, record(path.with_suffix(".mp4")), 12),
    ),
    recorder(
        "Any, cut off",
        "mp4",
        "H.264, AAC",
        "the index in front, the end lost",
        make=lambda path: cut(record(path, options={"movflags": "faststart"}), 0.0, 0.6),
        verdict="fail",
        findings=("INT-ERRORS", "INT-FRAMES-MISSING", "INT-TRUNCATED"),
    ),
    recorder(
        "Any, cut off",
        "mkv",
        "H.264, AAC",
        "the end lost",
        make=lambda path: cut(record(path), 0.0, 0.6),
        verdict="fail",
        findings=("INT-TRUNCATED",),
    ),
)


def judge(one: Recorder, folder: Path, results: Callable[[Path], list[StepResult]]) -> Recorder:
    """The same line with what is really found."""
    path = one.make(folder / f"a.{one.suffix}")
    upload = Upload("u", "ada", path.name, 1, 1)
    report = render_report(upload, "a", POLICIES["web"], results(path))
    codes = sorted(finding["code"] for finding in report["findings"])
    return Recorder(
        one.name, one.suffix, one.codecs, one.oddity, one.make, report["verdict"], tuple(codes)
    )


def render_table() -> str:
    """The table, as the page has it."""
    return BEGIN + "".join(f"{line}\n" for line in _lines()) + END


def _lines() -> Iterator[str]:
    yield "| recorder | container | coded as | what is odd | verdict | findings |"
    yield "|---|---|---|---|---|---|"
    for one in RECORDERS:
        codes = sorted(set(one.findings))
        told = ", ".join(f"`{code}`" for code in codes)
        yield (
            f"| {one.name} | {one.suffix} | {one.codecs} | {one.oddity} | {one.verdict} | {told} |"
        )


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    PAGE.write_text(head + render_table() + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
