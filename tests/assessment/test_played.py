"""Of several tracks the one is judged that a player plays; the others are told."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from tests.assessment.conftest import Assess, codes, look

PLAIN, DEFAULT = Disposition(0), Disposition.default


def with_tracks(
    path: Path,
    sounds: Sequence[tuple[bool, int]] = (),
    pictures: Sequence[tuple[int, int]] = ((64, DEFAULT),),
) -> Path:
    """Three seconds; whether each sound is heard, how wide each picture is, and their marks."""
    seen, heard = list[VideoStream](), list[AudioStream]()
    with av.open(str(path), "w") as out:
        for width, marks in pictures:
            shown = out.add_stream("mpeg4", rate=25)
            assert isinstance(shown, VideoStream)
            shown.width, shown.height, shown.pix_fmt = width, 48, "yuv420p"
            shown.disposition = Disposition(marks)
            seen.append(shown)
        for _, marks in sounds:
            sound = out.add_stream("aac", rate=48_000)
            assert isinstance(sound, AudioStream)
            sound.layout, sound.disposition = "mono", Disposition(marks)
            heard.append(sound)
        for number in range(75):
            for shown, (width, _) in zip(seen, pictures, strict=True):
                out.mux(shown.encode(picture(width, number)))
            for sound, (loud, _) in zip(heard, sounds, strict=True):
                out.mux(sound.encode(noise(loud, number)))
        for shown in seen:
            out.mux(shown.encode(None))
        for sound in heard:
            out.mux(sound.encode(None))
    return path


def picture(width: int, number: int) -> VideoFrame:
    frame = VideoFrame(width, 48, "yuv420p")
    for plane in frame.planes:
        row = bytes((number * 5 + x * 9) % 200 + 20 for x in range(plane.line_size))
        plane.update(row * plane.height)
    frame.pts, frame.time_base = number, Fraction(1, 25)
    return frame


def noise(loud: bool, number: int) -> AudioFrame:
    frame = AudioFrame("s16", "mono", 1920)
    frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 1920, Fraction(1, 48_000)
    wave = b"\0\x10" * 24 + b"\0\xf0" * 24
    frame.planes[0].update((wave if loud else bytes(len(wave))) * 40)
    return frame


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_the_default_sound_is_judged(assess_here: Assess, tmp_path: Path, suffix: str) -> None:
    tracks = [(False, PLAIN), (True, DEFAULT)]
    report = assess_here(with_tracks(tmp_path / f"a.{suffix}", tracks))
    assert "AUD-SILENCE" not in codes(report)
    assert report["audio"]["stream"] == 2
    assert [stream["default"] for stream in report["probe"]["streams"]] == [True, False, True]
    (other,) = report["audio"]["others"]
    assert (other["stream"], other["silent"], other["loudness"]["integrated"]) == (1, True, None)


def test_the_first_sound_is_judged_where_none_is_marked(tmp_path: Path) -> None:
    facts = look("audio", with_tracks(tmp_path / "a.ts", [(True, PLAIN)] * 2), tmp_path)
    assert facts["stream"] == 1
    (other,) = facts["others"]
    assert not other["silent"]
    assert other["loudness"] == facts["loudness"]


def test_a_commentary_is_not_what_is_played(tmp_path: Path) -> None:
    tracks = [(False, DEFAULT | Disposition.comment), (True, DEFAULT)]
    facts = look("audio", with_tracks(tmp_path / "a.mkv", tracks), tmp_path)
    assert (facts["stream"], facts["silence"]["count"]) == (2, 0)


def test_more_tracks_than_are_listened_to_are_no_harm(tmp_path: Path) -> None:
    facts = look("audio", with_tracks(tmp_path / "a.mkv", [(True, PLAIN)] * 12), tmp_path)
    assert len(facts["others"]) == 7


@pytest.mark.parametrize(
    ("pictures", "played"),
    [
        ([(64, PLAIN), (128, DEFAULT)], 1),
        ([(64, DEFAULT), (128, PLAIN)], 0),
        ([(64, DEFAULT), (128, DEFAULT)], 0),
    ],
)
def test_the_default_video_is_judged_and_drawn(
    tmp_path: Path, pictures: list[tuple[int, int]], played: int
) -> None:
    path = with_tracks(tmp_path / "a.mkv", [], pictures)
    facts = look("visual", path, tmp_path)
    assert facts["stream"] == facts["black"]["stream"] == played
    poster = look("poster", path, tmp_path)
    assert poster["stream"] == played
    assert poster["artefacts"][0]["width"] == pictures[played][0]
    assert look("probe", path, tmp_path)["streams"][played]["display_width"] is not None


def test_a_file_without_sound_has_no_other_sound(tmp_path: Path) -> None:
    assert look("audio", with_tracks(tmp_path / "a.mp4"), tmp_path)["others"] == []
