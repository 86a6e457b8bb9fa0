"""What is planted in a video is found, at its second and with its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from tests.assessment.conftest import Assess, codes, look

from wherry.testing.video import make_video


def video(path: Path, **planted: Any) -> Path:
    """A small video with nothing in it but what is asked for."""
    plain = {"seconds": 6, "width": 320, "height": 180}
    return make_video(path, **{**plain, "black": None, "freeze": None, "silence": None, **planted})


def found(report: dict[str, Any]) -> list[tuple[str, float | None]]:
    return [(finding["code"], finding["start"]) for finding in report["findings"]]


def test_black_freeze_and_silence_are_found_at_their_seconds(
    assess_here: Assess, tmp_path: Path
) -> None:
    path = make_video(
        tmp_path / "a.mp4",
        seconds=20,
        width=320,
        height=180,
        black=(5, 7),
        freeze=(10, 13),
        silence=(14, 17),
    )
    report = assess_here(path)
    places = [(f["code"], f["start"], f["end"]) for f in report["findings"]]
    assert places == [
        ("VIS-BLACK", 5.0, 7.0),
        ("VIS-FREEZE", 10.0, 13.0),
        ("AUD-SILENCE", pytest.approx(14.0, abs=0.01), pytest.approx(17.0, abs=0.01)),
    ]
    # Where black begins and ends, the picture changes.
    assert report["visual"]["scenes"] == {"count": 2, "cuts": [5.0, 7.0]}


def test_scene_cuts_are_found_at_their_seconds(tmp_path: Path) -> None:
    facts = look("visual", video(tmp_path / "a.mp4", cuts=(1.2, 3, 4.6)), tmp_path)
    assert facts["scenes"] == {"count": 3, "cuts": [1.2, 3.0, 4.6]}


def test_more_cuts_than_are_listed_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.assessment.steps.visual.LISTED", 2)
    facts = look("visual", video(tmp_path / "a.mp4", cuts=(1, 2, 3)), tmp_path)
    assert facts["scenes"] == {"count": 3, "cuts": [1.0, 2.0]}


def test_a_blurred_stretch_is_found(assess_here: Assess, tmp_path: Path) -> None:
    report = assess_here(video(tmp_path / "a.mp4", blur=(1, 4)))
    (finding,) = report["findings"]
    assert (finding["code"], finding["severity"]) == ("VIS-BLUR", "warn")
    assert (finding["start"], finding["end"]) == pytest.approx((1.0, 4.0), abs=0.15)


def test_a_picture_without_an_edge_has_no_blur_and_no_nan(
    assess_here: Assess, tmp_path: Path
) -> None:
    report = assess_here(video(tmp_path / "a.mp4", seconds=2, black=(0, 2)))
    assert report["visual"]["blur"]["mean"] is None


def test_an_interlaced_video_is_told_with_its_order_of_lines(
    assess_here: Assess, tmp_path: Path
) -> None:
    report = assess_here(
        video(tmp_path / "a.mp4", seconds=3, width=720, height=576, interlaced=True)
    )
    (finding,) = report["findings"]
    assert finding["code"] == "VIS-INTERLACED"
    assert "upper lines first" in finding["message"]
    interlace = report["visual"]["interlace"]
    assert (interlace["declared"], interlace["bottom_first"]) == (75, 0)


def test_a_progressive_video_is_not_taken_for_interlaced(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", seconds=3, width=720, height=576)
    interlace = look("visual", path, tmp_path)["interlace"]
    assert (interlace["share"], interlace["declared"]) == (0.0, 0)
    assert interlace["progressive"] > 60


@pytest.mark.parametrize("container", ["a.mp4", "a.mkv", "a.ts"])
def test_a_tone_at_minus_20_dbfs_has_a_loudness_of_minus_20_lufs(
    tmp_path: Path, container: str
) -> None:
    facts = look("audio", video(tmp_path / container, seconds=12), tmp_path)
    assert facts["loudness"]["integrated"] == pytest.approx(-20.0, abs=0.5)
    assert facts["loudness"]["range"] == pytest.approx(0.0, abs=0.5)
    assert facts["loudness"]["true_peak"] == pytest.approx(-20.0, abs=1.5)


def test_clipped_sound_is_found_at_its_second(assess_here: Assess, tmp_path: Path) -> None:
    # Coded without loss: at one tone, AAC would take the corners off again.
    path = video(tmp_path / "a.mkv", codec="flac", clipping=(2, 4))
    report = assess_here(path)
    assert report["audio"]["clipping"]["ranges"] == [[2.0, 4.0]]
    assert ("AUD-CLIPPING", 2.0) in found(report)


def test_a_loud_tone_that_fits_is_not_clipped(tmp_path: Path) -> None:
    facts = look("audio", video(tmp_path / "a.mkv", codec="flac"), tmp_path)
    assert facts["clipping"]["count"] == 0


def test_a_silent_channel_is_told_by_its_name(assess_here: Assess, tmp_path: Path) -> None:
    report = assess_here(video(tmp_path / "a.mp4", seconds=3, channels=(True, False)))
    (finding,) = report["findings"]
    assert (finding["code"], finding["message"]) == (
        "AUD-CHANNEL",
        "Nothing can be heard from channel FR.",
    )
    assert [channel["silent"] for channel in report["audio"]["channels"]] == [False, True]


def test_channels_without_a_name_are_told_by_their_number(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", seconds=2, codec="pcm_s16le", channels=(True, False))
    channels = look("audio", path, tmp_path)["channels"]
    assert [(channel["name"], channel["silent"]) for channel in channels] == [
        ("1", False),
        ("2", True),
    ]


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (16_000, 2)])
@pytest.mark.parametrize("step", ["visual", "poster", "integrity"])
def test_a_picture_of_any_shape_can_be_looked_at(
    tmp_path: Path, size: tuple[int, int], step: str
) -> None:
    path = two_greys(tmp_path / "a.mkv", 16, 235, size=size)
    assert look(step, path, tmp_path)


def test_digital_silence_has_no_loudness_and_no_nan(assess_here: Assess, tmp_path: Path) -> None:
    report = assess_here(video(tmp_path / "a.mp4", seconds=3, channels=(False, False)))
    assert report["audio"]["loudness"] == {"integrated": None, "range": None, "true_peak": None}
    assert report["audio"]["loudness_curve"] is None
    assert codes(report) == ["AUD-SILENCE"]


@pytest.mark.parametrize(("levels", "outside"), [((5, 246), 0.0), ((4, 235), 0.5), ((4, 247), 1.0)])
def test_pixels_beyond_black_and_white_are_counted(
    tmp_path: Path, levels: tuple[int, int], outside: float
) -> None:
    facts = look("visual", two_greys(tmp_path / "a.mkv", *levels), tmp_path)
    assert facts["luma"]["outside"] == pytest.approx(outside, abs=0.02)
    assert (facts["luma"]["worst"], facts["luma"]["worst_time"]) == (facts["luma"]["outside"], 0.0)


def test_full_range_video_is_not_beyond_black_and_white(tmp_path: Path) -> None:
    path = two_greys(tmp_path / "a.mkv", 0, 255, "yuvj420p", codec="mjpeg")
    assert look("visual", path, tmp_path)["luma"]["outside"] == 0.0


def two_greys(
    path: Path,
    dark: int,
    light: int,
    pixels: str = "yuv420p",
    *,
    codec: str = "ffv1",
    size: tuple[int, int] = (640, 360),
) -> Path:
    """A second of a picture whose left half has one brightness and its right half another."""
    frame = VideoFrame(*size, pixels)
    for plane, halves in zip(frame.planes, ((dark, light), (128, 128), (128, 128)), strict=True):
        half = plane.line_size // 2
        row = bytes([halves[0]]) * half + bytes([halves[1]]) * (plane.line_size - half)
        plane.update((row * plane.height).ljust(plane.buffer_size, b"\0"))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number in range(25):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_the_curve_of_loudness_falls_where_the_sound_is_silent(tmp_path: Path) -> None:
    curve = look("audio", video(tmp_path / "a.mp4", seconds=8, silence=(4, 7)), tmp_path)[
        "loudness_curve"
    ]
    assert curve["every"] == 0.1
    heard = {round(number * 0.1, 1): value for number, value in enumerate(curve["values"])}
    assert heard[2.0] == pytest.approx(-20.0, abs=1.0)
    assert heard[7.9] == pytest.approx(-20.0, abs=3.0)
    assert heard[5.5] is None


def test_the_curve_of_loudness_is_bounded(tmp_path: Path) -> None:
    curve = look("audio", video(tmp_path / "a.mkv", seconds=70, width=16, height=16), tmp_path)[
        "loudness_curve"
    ]
    assert curve["every"] == 0.2
    assert len(curve["values"]) in (350, 351)  # AAC fills its last frame
    assert curve["values"][200] == pytest.approx(-20.0, abs=0.5)
