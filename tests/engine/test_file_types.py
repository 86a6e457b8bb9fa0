"""What cameras and broadcasters record is known by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assessment.recordings import NO_B_FRAMES, record

from wherry.engine.file_types import HEAD, UNKNOWN, media_type

QUICKTIME_BOX = (20).to_bytes(4) + b"ftyp"


@pytest.mark.parametrize(
    ("suffix", "options", "found"),
    [
        ("ts", {}, "video/mp2t"),
        ("ts", {"mpegts_m2ts_mode": "1"}, "video/mp2t"),  # the .mts of a camcorder
        ("mov", {}, "video/quicktime"),
        ("mp4", {"brand": "XAVC"}, "video/mp4"),
        ("mkv", {}, "video/x-matroska"),
    ],
)
def test_a_recording_is_a_video(
    tmp_path: Path, suffix: str, options: dict[str, str], found: str
) -> None:
    path = record(tmp_path / f"a.{suffix}", seconds=1, codec_options=NO_B_FRAMES, options=options)
    assert media_type(path.read_bytes()[:HEAD]) == found


def test_a_quicktime_file_without_its_first_box_is_a_video(tmp_path: Path) -> None:
    data = record(tmp_path / "a.mov", seconds=1, codec_options=NO_B_FRAMES).read_bytes()
    assert data.startswith(QUICKTIME_BOX)
    assert media_type(data[20 : 20 + HEAD]) == "video/quicktime"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\0\0\0\x18ftypisml\0\0\0\1ismlpiff", "video/mp4"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "image/heif"),
        (b"\0\0\0\x18ftypM4B \0\0\0\0M4B M4A ", "audio/mp4"),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02\x04\0", "application/mxf"),
        (b"\x1f\x07\0\xbf\xf8xxx", "video/dv"),
        (b"G" + bytes(187) + b"G" + bytes(187), UNKNOWN),
        (b"Good morning", UNKNOWN),
        (b"", UNKNOWN),
    ],
)
def test_a_beginning_is_known_or_not(head: bytes, found: str) -> None:
    assert media_type(head) == found
