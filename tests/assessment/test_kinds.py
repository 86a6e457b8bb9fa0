"""A file that is no video is not a failed video; a video that cannot be read is."""

from __future__ import annotations

import gzip
import io
import random
import sqlite3
import struct
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from av.video.codeccontext import VideoCodecContext
from tests.assessment.conftest import Assess, codes
from tests.assessment.recordings import record, scene

from wherry.assessment.kinds import Kind, is_called_media, kind_of
from wherry.assessment.policy import POLICIES, Policy
from wherry.assessment.progress import StepResult
from wherry.assessment.report import find, render_report
from wherry.assessment.text import render_report_text
from wherry.core.upload import Upload
from wherry.testing.video import make_video


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("notes.txt", "Nothing moves here. " * 200)
    return buffer.getvalue()


def picture(codec: str, pixels: str) -> bytes:
    encoder = VideoCodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, pixels
    encoder.time_base = Fraction(1, 25)
    frame = scene()[0].reformat(format=pixels)
    return b"".join(bytes(packet) for what in (frame, None) for packet in encoder.encode(what))


def database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table notes (text)")
        return bytes(connection.serialize())


def heic() -> bytes:
    brands = b"heic" + bytes(4) + b"mif1heic"
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(2000)


OTHERS: dict[str, Callable[[], bytes]] = {
    "empty.bin": lambda: b"",
    "letter.pdf": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256)) * 40,
    "archive.zip": archive,
    "report.docx": archive,
    "logs.gz": lambda: gzip.compress(b"a line of a log\n" * 5000, mtime=0),
    "photo.jpg": lambda: picture("mjpeg", "yuvj420p"),
    "drawing.png": lambda: picture("png", "rgb24"),
    "photo.heic": heic,
    "animation.gif": lambda: b"GIF89a" + bytes(range(256)) * 8,
    "photo.webp": lambda: b"RIFF\x24\x10\0\0WEBPVP8 " + bytes(4096),
    "notes.txt": lambda: ("Plain words, with ümläuts — and a dash.\n" * 300).encode(),
    "data.json": lambda: b'{"plain": [1, 2, 3]}',
    "page.html": lambda: b"<!DOCTYPE html><html><body>Hello</body></html>",
    "words.srt": lambda: b"1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "list.m3u8": lambda: b"#EXTM3U\n#EXTINF:4,\nvideo.ts\n",
    "program": lambda: Path(sys.executable).read_bytes()[:100_000],
    "notes.sqlite": database,
    "zeros.bin": lambda: bytes(100_000),
}


def written(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(OTHERS[name]())
    return path


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_no_video_is_not_a_failed_video(
    assess_here: Assess, tmp_path: Path, name: str
) -> None:
    report = assess_here(written(tmp_path, name))
    assert (report["verdict"], codes(report, "info")) == ("not-assessed", ["FILE-NOT-MEDIA"])
    assert len(report["findings"]) == 1
    text = render_report_text(report)
    assert "NOT ASSESSED" in text
    assert "not a video" in text


@pytest.mark.parametrize("name", ["letter.pdf", "empty.bin"])
def test_the_sandbox_says_so_too(assess: Assess, tmp_path: Path, name: str) -> None:
    report = assess(written(tmp_path, name))
    assert (report["verdict"], codes(report)) == ("not-assessed", ["FILE-NOT-MEDIA"])


@pytest.mark.parametrize("seed", range(40))
def test_bytes_without_a_meaning_are_not_taken_for_a_video(
    assess_here: Assess, tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(random.Random(seed).randbytes(20_000))
    assert assess_here(path)["verdict"] == "not-assessed"


def judged(facts: dict[str, Any], *, policy: str = "web", **upload: Any) -> dict[str, Any]:
    what = Upload("u", "ada", upload.pop("filename", "letter.pdf"), 10, 10, **upload)
    results = [StepResult("probe", "done", 0.0, facts)]
    return render_report(what, "a", POLICIES[policy], results)


NO_MEDIA = {"unreadable": "it is something else", "is_media": False}


@pytest.mark.parametrize(
    "upload", [{"filename": "holiday.MP4"}, {"content_type": "video/mp4"}, {"filename": "a.mp3"}]
)
def test_one_that_is_called_a_video_fails(upload: dict[str, Any]) -> None:
    report = judged(NO_MEDIA, **upload)
    assert (report["verdict"], codes(report, "fail")) == ("fail", ["FILE-UNREADABLE"])


def test_one_that_begins_like_a_video_fails_whatever_its_name(
    assess_here: Assess, tmp_path: Path
) -> None:
    path = record(tmp_path / "a.mp4")
    whole = path.read_bytes()
    nameless = tmp_path / "upload"
    nameless.write_bytes(whole[: len(whole) // 2])
    report = assess_here(nameless)
    assert (report["verdict"], codes(report)) == ("fail", ["FILE-UNREADABLE"])


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("web", "not-assessed"),
        ("archive", "not-assessed"),
        ("broadcast", "fail"),
        ("audio", "fail"),
        ("pictures", "fail"),
    ],
)
def test_a_policy_may_require_a_video(policy: str, verdict: str) -> None:
    assert judged(NO_MEDIA, policy=policy)["verdict"] == verdict


def test_a_policy_that_does_not_name_it_tells_nothing_and_passes_nothing() -> None:
    result = StepResult("probe", "done", 0.0, NO_MEDIA)
    what = Upload("u", "ada", "letter.pdf", 10, 10)
    report = render_report(what, "a", Policy("own"), [result])
    assert (report["verdict"], report["findings"]) == ("not-assessed", [])


def test_what_an_earlier_version_found_unreadable_stays_a_failure() -> None:
    assert judged({"unreadable": "it ends"})["verdict"] == "fail"
    (finding,) = find(10, POLICIES["web"], [StepResult("probe", "done", 0.0, NO_MEDIA)])
    assert finding.code == "FILE-UNREADABLE"


@pytest.mark.parametrize("suffix", ["aac", "mp3", "h264", "mpg"])
def test_a_recording_that_was_cut_anywhere_is_known_by_its_name(
    assess_here: Assess, tmp_path: Path, suffix: str
) -> None:
    how: dict[str, Any] = {"sound": None}
    if suffix == "mpg":
        how = {"codec": "mpeg2video", "codec_options": {}, "clock": 25, "sound": "mp2"}
    if suffix in ("aac", "mp3"):
        path = make_video(
            tmp_path / f"a.{suffix}", seconds=6, video=False, silence=None, codec=suffix
        )
    else:
        path = record(tmp_path / f"a.{suffix}", seconds=6, **how)
    path.write_bytes(path.read_bytes()[1001:-99])
    assert assess_here(path)["verdict"] in ("pass", "warn")
    nameless = path.rename(tmp_path / "data")
    assert assess_here(nameless)["verdict"] == "not-assessed"


@pytest.mark.parametrize(
    ("suffix", "sound"),
    [
        *((suffix, "aac") for suffix in ("mp4", "mkv", "avi", "flv", "ts", "mov")),
        ("mpg", "mp2"),
        ("asf", "mp3"),
        ("h264", None),
    ],
)
def test_a_video_is_known_by_how_it_begins(tmp_path: Path, suffix: str, sound: str | None) -> None:
    how: dict[str, Any] = {"sound": sound}
    if suffix == "mpg":
        how |= {"codec": "mpeg2video", "codec_options": {}, "clock": 25}
    assert kind_of(str(record(tmp_path / f"a.{suffix}", seconds=1, **how))) is Kind.MEDIA


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp3", "mp3"),
        ("aac", "aac"),
        ("ac3", "ac3"),
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("ogg", "libopus"),
        ("m4a", "aac"),
        ("w64", "pcm_s16le"),
        ("aiff", "pcm_s16be"),
        ("caf", "pcm_s16be"),
    ],
)
def test_sound_is_known_by_how_it_begins_and_judged_by_what_can_be_heard(
    assess_here: Assess, tmp_path: Path, suffix: str, codec: str
) -> None:
    path = make_video(
        tmp_path / f"song.{suffix}", seconds=3, video=False, silence=None, codec=codec
    )
    assert kind_of(str(path)) is Kind.MEDIA
    report = assess_here(path)
    assert (report["verdict"], codes(report)) == ("pass", ["VIDEO-MISSING"])
    assert report["audio"]["loudness"]["integrated"] is not None


def test_sound_alone_and_pictures_alone_have_policies_that_fit(tmp_path: Path) -> None:
    song = {"index": 0, "type": "audio", "codec": "aac"}
    film = {"index": 0, "type": "video", "codec": "h264"}
    told = {
        (name, kind): [
            (f.code, f.severity.value)
            for f in find(
                1,
                POLICIES[name],
                [StepResult("probe", "done", 0.0, {"container": "mov", "duration": 1} | streams)],
            )
        ]
        for name in ("audio", "pictures")
        for kind, streams in {"song": {"streams": [song]}, "film": {"streams": [film]}}.items()
    }
    assert told == {
        ("audio", "song"): [],
        ("audio", "film"): [("AUDIO-MISSING", "fail")],
        ("pictures", "song"): [("VIDEO-MISSING", "fail")],
        ("pictures", "film"): [],
    }


@pytest.mark.parametrize("name", ["a.mp4", "A.MOV", "x.y.webm", "song.m4a"])
def test_a_name_may_call_a_file_a_video(name: str) -> None:
    assert is_called_media(name, None)


@pytest.mark.parametrize("name", ["mp4", "a.pdf", "a", "", "a.mp4.zip", "script.tsx"])
def test_most_names_do_not(name: str) -> None:
    assert not is_called_media(name, "application/octet-stream")
