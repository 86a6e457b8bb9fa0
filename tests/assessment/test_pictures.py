"""What is drawn of a video has the shape, the order and the times that it says."""

from __future__ import annotations

import itertools
import re
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.frame import VideoFrame
from tests.assessment.conftest import Assess, codes, look

from wherry.assessment.pictures import waveform
from wherry.assessment.sheets import MOST, Samples, render_vtt
from wherry.testing.video import make_video


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The pictures of a video of six seconds that is black from the second on to the fourth."""
    folder = tmp_path_factory.mktemp("drawn")
    path = make_video(
        folder / "a.mp4",
        seconds=6,
        width=320,
        height=180,
        black=(2, 4),
        freeze=None,
        silence=(1, 5),
    )
    pictures = look("visual", path, folder)["artefacts"] + look("audio", path, folder)["artefacts"]
    return {picture["name"]: (picture, folder / picture["name"]) for picture in pictures}


def opened(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def is_dark(frame: VideoFrame, left: int, top: int, width: int, height: int) -> bool:
    """Whether nothing shines in the middle row of this part."""
    plane = frame.reformat(format="gray").planes[0]
    begin = (top + height // 2) * plane.line_size + left
    return max(bytes(plane)[begin + 8 : begin + width - 8]) < 40


def test_every_picture_is_of_the_size_and_type_it_says(drawn: dict[str, Any]) -> None:
    assert set(drawn) == {"contact.jpg", "storyboard.jpg", "storyboard.vtt", "waveform.png"}
    for name in ("contact.jpg", "storyboard.jpg", "waveform.png"):
        picture, path = drawn[name]
        frame = opened(path)
        assert (frame.width, frame.height) == (picture["width"], picture["height"])
    types = [picture["content_type"] for picture, _ in drawn.values()]
    assert types == ["image/jpeg", "image/jpeg", "text/vtt", "image/png"]


def test_the_contact_sheet_has_twelve_pictures_in_their_order(drawn: dict[str, Any]) -> None:
    frame = opened(drawn["contact.jpg"][1])
    assert (frame.width, frame.height) == (4 * 320, 3 * 180)
    places = [(320 * (n % 4), 180 * (n // 4), 320, 180) for n in range(12)]
    dark = [n for n, place in enumerate(places) if is_dark(frame, *place)]
    # The middles of twelve stretches of half a second.
    assert dark == [4, 5, 6, 7]


def test_the_storyboard_shows_what_is_seen_at_its_times(drawn: dict[str, Any]) -> None:
    text = drawn["storyboard.vtt"][1].read_text()
    assert text.startswith("WEBVTT\n\n")
    cue = r"(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})\n(\S+)#xywh=(\S+)\n"
    cues = re.findall(cue, text)
    assert len(cues) == 6
    frame, end = opened(drawn["storyboard.jpg"][1]), 0.0
    for h1, m1, s1, h2, m2, s2, sprite, place in cues:
        begins, ends = 3600 * int(h1) + 60 * int(m1) + float(s1), 3600 * int(h2) + 60 * int(m2)
        assert begins == end
        end = ends + float(s2)
        x, y, width, height = map(int, place.split(","))
        assert (sprite, width, height) == ("storyboard.jpg", 160, 90)
        assert is_dark(frame, x, y, width, height) == (2 <= begins < 4)
    assert end == pytest.approx(6, abs=0.05)


def test_a_sprite_is_cut_row_by_row() -> None:
    text = render_vtt([0.0, 1.0, 3600.5], 3700.0, "s.jpg", (160, 90), 2)
    assert text.split("\n\n")[1:] == [
        "00:00:00.000 --> 00:00:01.000\ns.jpg#xywh=0,0,160,90",
        "00:00:01.000 --> 01:00:00.500\ns.jpg#xywh=160,0,160,90",
        "01:00:00.500 --> 01:01:40.000\ns.jpg#xywh=0,90,160,90\n",
    ]


def test_however_long_a_video_is_so_many_pictures_are_kept() -> None:
    samples, picture = Samples(), VideoFrame(16, 16, "yuv420p")
    for number in range(20_000):
        samples.take(number / 5, picture)
    times = [time for time, _ in samples.kept]
    assert MOST / 2 <= len(times) <= MOST
    distances = {round(b - a, 3) for a, b in itertools.pairwise(times)}
    assert max(distances) <= 2 * min(distances)


def test_the_waveform_is_tall_where_it_is_loud(drawn: dict[str, Any]) -> None:
    frame = opened(drawn["waveform.png"][1])
    alpha = bytes(frame.reformat(format="rgba").planes[0])[3::4]
    width, height = frame.width, frame.height

    def tall(second: float) -> int:
        column = alpha[int(second / 6 * width) :: width][:height]
        return sum(value > 0 for value in column)

    # The tone has a tenth of what there is room for.
    assert tall(0.5) == pytest.approx(0.1 * height, abs=3)
    assert tall(3.0) <= 3


@pytest.mark.parametrize("peaks", [[], [1.0], [0.0, 1.0] * 3, [0.5] * 5000])
def test_a_waveform_can_be_drawn_of_any_number_of_peaks(tmp_path: Path, peaks: list[float]) -> None:
    path = tmp_path / "w.png"
    path.write_bytes(waveform(peaks, 1200, 200))
    assert (opened(path).width, opened(path).height) == (1200, 200)


@pytest.mark.parametrize(("turned", "shape"), [(0, (160, 90)), (90, (90, 160)), (270, (90, 160))])
def test_the_sheets_stand_upright(tmp_path: Path, turned: int, shape: tuple[int, int]) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=3, width=320, height=180, audio=False)
    path = tmp_path / "turned.mp4"
    with av.open(str(source)) as reading, av.open(str(path), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        stream.set_display_rotation(turned)
        for packet in reading.demux(reading.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                writing.mux(packet)
    pictures = {p["kind"]: p for p in look("visual", path, tmp_path)["artefacts"]}
    index = pictures["storyboard-index"]
    assert (index["width"], index["height"]) == shape
    sheet = pictures["contact-sheet"]
    assert (sheet["width"] > sheet["height"]) == (shape[0] > shape[1])
    probed = look("probe", path, tmp_path)["streams"][0]
    wide = (probed["display_width"], probed["display_height"])
    assert wide == ((320, 180) if shape == (160, 90) else (180, 320))


def test_oblong_pixels_are_drawn_square(tmp_path: Path) -> None:
    path = tmp_path / "pal.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)
        frame = VideoFrame(720, 576, "yuv420p")
        for number in range(25):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    pictures = {p["kind"]: p for p in look("visual", path, tmp_path)["artefacts"]}
    assert (pictures["storyboard-index"]["width"], pictures["storyboard-index"]["height"]) == (
        160,
        90,
    )
    assert look("probe", path, tmp_path)["streams"][0]["display_width"] == 1024


# A picture that is small to send and large to hold.


def make_bomb(path: Path, width: int, height: int, declared: tuple[int, int] = (64, 48)) -> Path:
    """A PNG of one bit a pixel, all of them zero, in a video that says it has another size."""
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x01\x00\x00\x00\x00"
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
        for name, data in chunks
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "monob"
        packet = av.Packet(png)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
        container.mux(packet)
    made = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 12.1.3: the sides stand 24 bytes behind the name of the sample entry.
    at = made.index(b"stsd") + 16
    assert made[at : at + 4] == b"png "
    made[at + 28 : at + 32] = b"".join(side.to_bytes(2, "big") for side in declared)
    path.write_bytes(made)
    return path


def test_a_small_picture_of_that_kind_is_decoded(tmp_path: Path) -> None:
    facts = look("integrity", make_bomb(tmp_path / "small.mov", 600, 400), tmp_path)
    assert (facts["streams"][0]["frames"], facts["errors"]) == (1, 0)


@pytest.mark.parametrize("side", [6_001, 12_000, 30_000])
@pytest.mark.parametrize("honest", [True, False])
def test_a_picture_too_large_is_refused_before_it_is_decoded(
    assess: Assess, tmp_path: Path, side: int, honest: bool
) -> None:
    declared = (side, side) if honest else (64, 48)
    path = make_bomb(tmp_path / "bomb.mov", side, side, declared)
    assert path.stat().st_size < 200_000
    report = assess(path)
    assert report["verdict"] == "fail"
    assert {"INT-EMPTY", "INT-ERRORS"} <= set(codes(report, "fail"))
    (stream,) = report["integrity"]["streams"]
    assert (stream["frames"], stream["errors"]) == (0, 1)
    assert report["artefacts"] == []
