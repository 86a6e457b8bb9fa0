"""Pictures of a video have the colours that a player shows, whatever its range and light."""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from av.video.stream import VideoStream
from tests.assessment.conftest import look

from wherry.assessment.colours import know_matrix
from wherry.assessment.pictures import shape

Colour: TypeAlias = tuple[float, float, float]

#: Light in parts of white, with the primaries of sRGB; one is three times as bright.
PATCHES: Sequence[Colour] = (
    (0, 0, 0),
    (0.05, 0.05, 0.05),
    (0.2, 0.2, 0.2),
    (0.5, 0.5, 0.5),
    (1, 1, 1),
    (3, 3, 3),
    (1, 0, 0),
    (0, 1, 0),
    (0, 0, 1),
    (0.8, 0.5, 0.35),
)
WIDTH, HEIGHT = 32 * len(PATCHES), 64
#: ITU-R BT.2087: from the primaries of BT.709 to those of BT.2020.
TO_2020 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))


def srgb(light: float) -> float:
    light = min(light, 1.0)
    return 12.92 * light if light < 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def pq(light: float) -> float:
    """SMPTE ST 2084, with white at 203 cd/m²."""
    power = (light * 203 / 10_000) ** 0.1593017578125
    code: float = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return code


def hlg(light: float) -> float:
    """ITU-R BT.2100, for a screen of 1000 cd/m²."""
    scene = (light * 0.203) ** (1 / 1.2)
    if scene <= 1 / 12:
        return math.sqrt(3 * scene)
    return 0.17883277 * math.log(12 * scene - 0.28466892) + 0.55991073


def coded(rgb: Colour, red: float, blue: float, bits: int, full: bool) -> list[int]:
    """Brightness and the two differences, by a matrix with these weights."""
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    differences = ((rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red))
    step = 2 ** (bits - 8)
    low, room, spread = (0, 255, 255) if full else (16, 219, 224)
    values = (low + room * luma, *(128 + spread * part for part in differences))
    return [min(round(value * step), 2**bits - 1) for value in values]


def patches(pixels: str, codes: Sequence[Sequence[int]]) -> VideoFrame:
    """A picture with a patch of each of these colours, side by side."""
    frame = VideoFrame(WIDTH, HEIGHT, pixels)
    size = "H" if "10" in pixels else "B"
    for number, plane in enumerate(frame.planes):
        places = [x * len(codes) // plane.width for x in range(plane.width)]
        row = array.array(size, [codes[place][number] for place in places]).tobytes()
        row = row.ljust(plane.line_size, b"\0")
        plane.update((row * plane.height).ljust(plane.buffer_size, b"\0"))
    return frame


def in_bright_light(transfer: Callable[[float], float]) -> VideoFrame:
    codes = []
    for patch in PATCHES:
        light = [sum(a * b for a, b in zip(row, patch, strict=True)) for row in TO_2020]
        red, green, blue = (transfer(part) for part in light)
        codes.append(coded((red, green, blue), 0.2627, 0.0593, 10, full=False))
    frame = patches("yuv420p10le", codes)
    frame.color_trc = ColorTrc.SMPTE2084 if transfer is pq else ColorTrc.ARIB_STD_B67
    frame.color_primaries, frame.colorspace = ColorPrimaries.BT2020, 9
    frame.color_range = ColorRange.MPEG
    return frame


def in_common_light(matrix: int, full: bool, pixels: str) -> VideoFrame:
    red, blue = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    codes = [
        coded((srgb(r), srgb(g), srgb(b)), red, blue, 10 if "10" in pixels else 8, full)
        for r, g, b in PATCHES
    ]
    frame = patches(pixels, codes)
    frame.colorspace = matrix
    frame.color_range = ColorRange.JPEG if full else ColorRange.MPEG
    return frame


def seen(picture: VideoFrame) -> list[tuple[int, ...]]:
    """What is in the middle of every patch, in red, green and blue, as a JPEG is shown."""
    frame = picture.reformat(format="rgb24", threads=1)
    plane = frame.planes[0]
    row = frame.height // 2 * plane.line_size
    middles = [int((n + 0.5) * frame.width / len(PATCHES)) for n in range(len(PATCHES))]
    return [tuple(bytes(plane)[row + 3 * x : row + 3 * x + 3]) for x in middles]


EXPECTED = [tuple(round(255 * srgb(part)) for part in patch) for patch in PATCHES]


def near(within: int) -> Any:
    return [pytest.approx(patch, abs=within) for patch in EXPECTED]


@pytest.mark.parametrize("transfer", [pq, hlg])
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2)])
def test_bright_light_is_mapped_to_an_ordinary_screen(
    transfer: Callable[[float], float], size: tuple[int, int]
) -> None:
    # Without it, white is a grey of 146 (PQ) or 189 (HLG).
    assert seen(shape(in_bright_light(transfer), size)) == near(16)


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_every_matrix_and_range_gives_the_same_colours(
    matrix: int, full: bool, pixels: str
) -> None:
    assert seen(shape(in_common_light(matrix, full, pixels), (WIDTH, HEIGHT))) == near(4)


@pytest.mark.parametrize(("size", "matrix"), [((640, 480), 6), ((1280, 720), 1), ((720, 576), 6)])
def test_a_matrix_that_is_not_told_is_guessed_as_players_do(
    size: tuple[int, int], matrix: int
) -> None:
    frame = VideoFrame(*size, "yuv420p")
    frame.colorspace = 2
    know_matrix(frame)
    assert frame.colorspace == matrix


@pytest.mark.parametrize("matrix", range(20))
@pytest.mark.parametrize("pixels", ["yuv420p", "gbrp", "rgb24", "gray", "pal8"])
def test_no_matrix_is_beyond_conversion(matrix: int, pixels: str) -> None:
    frame = VideoFrame(64, 48, pixels)
    frame.colorspace = matrix
    assert shape(frame, (32, 24)).width == 32


@pytest.mark.parametrize("pixels", ["rgba", "gbrap", "yuva420p", "yuva444p10le"])
def test_what_is_transparent_shows_black(pixels: str) -> None:
    half = VideoFrame(64, 48, "rgba")
    half.planes[0].update(b"\xff\xff\xff\x80" * (half.planes[0].buffer_size // 4))
    picture = shape(half.reformat(format=pixels, threads=1), (32, 24))
    grey = bytes(picture.reformat(format="rgb24", threads=1).planes[0])[:3]
    assert tuple(grey) == pytest.approx((128, 128, 128), abs=3)


def filmed(path: Path, frame: VideoFrame, codec: str, **options: str) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        context = stream.codec_context
        context.color_trc, context.color_primaries = frame.color_trc, frame.color_primaries
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
        for number in range(50):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def drawn(path: Path, folder: Path) -> dict[str, VideoFrame]:
    """The first picture of each kind."""
    pictures = look("poster", path, folder)["artefacts"] + look("visual", path, folder)["artefacts"]
    found = {}
    for picture in pictures:
        if picture["content_type"] == "image/jpeg":
            with av.open(str(folder / picture["name"])) as container:
                found[picture["kind"]] = next(container.decode(video=0))
    return found


@pytest.mark.parametrize("transfer", [pq, hlg])
def test_posters_and_sheets_of_hdr_have_the_right_colours(
    tmp_path: Path, transfer: Callable[[float], float]
) -> None:
    quiet = {"x265-params": "log-level=none:qp=8", "preset": "ultrafast"}
    path = filmed(tmp_path / "a.mp4", in_bright_light(transfer), "libx265", **quiet)
    pictures = drawn(path, tmp_path)
    assert seen(pictures["poster"]) == near(20)
    sheet = pictures["contact-sheet"]
    plane = sheet.reformat(format="rgb24", threads=1).planes[0]
    # The fifth patch of the first picture is white.
    at = 32 * plane.line_size + 3 * int(4.5 * 32)
    assert min(bytes(plane)[at : at + 3]) > 235


def test_the_poster_of_an_interlaced_video_shows_one_moment(tmp_path: Path) -> None:
    frame = VideoFrame(720, 576, "yuv420p")
    for plane, (even, odd) in zip(frame.planes, ((200, 40), (128, 128), (128, 128)), strict=True):
        pair = bytes([even]) * plane.line_size + bytes([odd]) * plane.line_size
        plane.update((pair * plane.height)[: plane.buffer_size])
    path = filmed(tmp_path / "a.mkv", frame, "mpeg2video", flags="+ildct+ilme", qmax="2", qmin="1")
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    plane = drawn(path, tmp_path)["poster"].reformat(format="gray", threads=1).planes[0]
    column = bytes(plane)[100 :: plane.line_size][50:500]
    assert max(column) - min(column) < 20
