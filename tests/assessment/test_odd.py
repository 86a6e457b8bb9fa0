"""Good files of rare kinds fail no step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from tests.assessment.conftest import look
from tests.assessment.recordings import joined

from wherry.assessment.media import Decoded, decode
from wherry.assessment.steps import audio

STEPS = ("probe", "visual", "audio", "poster")


def looked(path: Path, folder: Path) -> dict[str, dict[str, Any]]:
    return {step: look(step, path, folder) for step in STEPS}


def filmed(
    path: Path,
    size: tuple[int, int] = (64, 48),
    pixels: str = "yuv420p",
    codec: str = "ffv1",
    count: int = 25,
) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number in range(count):
            frame = VideoFrame(*size, "gray")
            row = bytes((x * 11 + number * 7) % 200 + 20 for x in range(frame.planes[0].line_size))
            frame.planes[0].update(row * (frame.planes[0].buffer_size // len(row)))
            picture = frame.reformat(format=pixels, threads=1)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def heard(path: Path, kind: tuple[int, str, str, str], samples: int) -> Path:
    """A tone; `kind` is its rate, layout, format of samples, and codec."""
    rate, layout, format_, codec = kind
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout, stream.format = layout, format_
        out.start_encoding()
        for at in range(0, samples, 1024):
            frame = AudioFrame("s16", layout, min(1024, samples - at))
            wave = (
                (4000 if n // 20 % 2 else -4000).to_bytes(2, "little", signed=True)
                * frame.layout.nb_channels
                for n in range(frame.samples)
            )
            frame.planes[0].update(b"".join(wave).ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            for shaped in av.AudioResampler(format_, layout, rate).resample(frame):
                out.mux(stream.encode(shaped))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("size", [(2, 2), (4096, 2304), (101, 33)])
def test_pictures_of_any_size_are_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    found = looked(filmed(tmp_path / "a.mkv", size, pixels="yuv444p", count=3), tmp_path)
    (poster,) = found["poster"]["artefacts"]
    assert max(poster["width"], poster["height"]) <= 1280
    mean = found["visual"]["blur"]["mean"]
    assert mean is None or mean > 0


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("ffv1", "gray16le"),
        ("ffv1", "bgra"),
        ("ffv1", "yuv410p"),
        ("qtrle", "argb"),
        ("png", "rgb48be"),
        ("rawvideo", "uyvy422"),
        ("v210", "yuv422p10le"),
        ("libx265", "yuv444p12le"),
        ("prores_ks", "yuva444p10le"),
    ],
)
def test_pixels_of_any_kind_are_drawn(tmp_path: Path, codec: str, pixels: str) -> None:
    path = tmp_path / ("a.mkv" if codec == "ffv1" else "a.mov")
    found = looked(filmed(path, pixels=pixels, codec=codec), tmp_path)
    kinds = {a["kind"] for step in found.values() for a in step["artefacts"]}
    assert {"poster", "contact-sheet", "storyboard"} <= kinds


def test_a_video_of_one_picture_is_drawn(tmp_path: Path) -> None:
    found = looked(filmed(tmp_path / "a.mp4", codec="mpeg4", count=1), tmp_path)
    assert found["poster"]["artefacts"][0]["time"] == 0.0
    assert found["visual"]["freeze"]["count"] == 0


@pytest.mark.parametrize(
    "kind",
    [
        (8_000, "mono", "s16", "pcm_mulaw"),
        (11_025, "stereo", "u8", "pcm_u8"),
        (48_000, "7.1", "s16", "flac"),
        (96_000, "stereo", "s32", "flac"),
        (192_000, "mono", "dbl", "pcm_f64le"),
        (48_000, "5.1", "s32", "pcm_s24le"),
    ],
)
def test_sound_of_any_kind_is_measured(tmp_path: Path, kind: tuple[int, str, str, str]) -> None:
    suffix = "wav" if kind[3] == "pcm_mulaw" else "mkv"
    path = heard(tmp_path / f"a.{suffix}", kind, 2 * kind[0])
    found = look("audio", path, tmp_path)
    assert found["loudness"]["integrated"] > -30
    assert (found["silence"]["count"], found["clipping"]["count"]) == (0, 0)


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_sound_of_hardly_any_length_is_no_failure(tmp_path: Path, samples: int) -> None:
    path = heard(tmp_path / "a.wav", (48_000, "stereo", "s16", "pcm_s16le"), samples)
    found = look("audio", path, tmp_path)
    assert found["loudness"]["integrated"] is None
    assert found["silence"]["count"] == 0


def test_a_picture_that_changes_its_size_is_seen_to_its_end(tmp_path: Path) -> None:
    parts = [
        filmed(tmp_path / f"{n}.ts", size, codec="mpeg2video", count=50)
        for n, size in enumerate([(320, 180), (640, 360), (180, 320), (320, 180)])
    ]
    found = looked(joined(tmp_path / "a.ts", *parts), tmp_path)
    text = (tmp_path / "storyboard.vtt").read_text()
    assert text.count("-->") >= 7
    assert found["poster"]["artefacts"]


def test_a_frame_whose_channels_nobody_can_mix_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As damaged AAC brings them, though not from every encoder, nor at every run."""

    def odd(frame: AudioFrame) -> AudioFrame:
        made = AudioFrame("fltp", "20 channels", frame.samples)
        made.sample_rate, made.pts, made.time_base = frame.sample_rate, frame.pts, frame.time_base
        return made

    def damaged(*arguments: Any, **options: Any) -> Iterator[Decoded]:
        for number, decoded in enumerate(decode(*arguments, **options)):
            is_odd = number in (20, 21, 40)
            yield replace(decoded, frames=tuple(map(odd, decoded.frames))) if is_odd else decoded

    path = heard(tmp_path / "a.wav", (48_000, "stereo", "s16", "pcm_s16le"), 2 * 48_000)
    usual = look("audio", path, tmp_path)
    monkeypatch.setattr(audio, "decode", damaged)
    found = look("audio", path, tmp_path)
    assert found["loudness"]["integrated"] == pytest.approx(usual["loudness"]["integrated"], abs=1)
    assert len(found["channels"]) == 2


def test_sound_that_changes_its_shape_is_heard_to_its_end(tmp_path: Path) -> None:
    parts = [
        heard(tmp_path / f"{n}.ac3", (rate, layout, "fltp", "ac3"), 2 * rate)
        for n, (rate, layout) in enumerate([(44_100, "mono"), (48_000, "5.1"), (44_100, "mono")])
    ]
    found = look("audio", joined(tmp_path / "a.ac3", *parts), tmp_path)
    assert found["loudness"]["integrated"] > -30
    assert found["silence"]["count"] == 0
