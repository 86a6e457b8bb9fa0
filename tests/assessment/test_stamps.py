"""Frames come in the order and for the time in which they are shown, whatever the container."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from av.audio.frame import AudioFrame
from av.packet import Packet
from tests.assessment.recordings import NO_B_FRAMES, USUAL, Packets, joined, record

from wherry.assessment.media import frames, open_media
from wherry.assessment.stamps import Stamps

Shown = list[tuple[float, float]]


def shown(path: Path, kind: str = "video") -> Shown:
    """When each frame begins and ends, in seconds."""
    with open_media(str(path)) as container:
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        found = []
        for frame in frames(container, stream):
            base = frame.time_base
            lasting = frame.duration * base if kind == "video" else frame.samples / 48_000
            found.append((float(frame.pts * base), float(frame.pts * base + lasting)))
        return found


def is_even(found: Shown, rate: float = 25) -> bool:
    """Whether the frames follow each other without a gap or an overlap."""
    steps = [after[0] - before[0] for before, after in pairwise(found)]
    return all(step == pytest.approx(1 / rate, abs=0.002) for step in steps)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "flv", "h264"])
@pytest.mark.parametrize("coded", [USUAL, NO_B_FRAMES])
def test_frames_come_evenly_from_every_container(
    tmp_path: Path, suffix: str, coded: dict[str, str]
) -> None:
    # Coded sound begins before zero, and FFmpeg's AVI shows the first picture longer for it.
    sound = {"h264": None, "avi": "pcm_s16le"}.get(suffix, "aac")
    found = shown(record(tmp_path / f"a.{suffix}", codec_options=coded, sound=sound))
    assert len(found) == 100
    assert is_even(found)
    assert found[-1][1] - found[0][0] == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("coded", [USUAL, NO_B_FRAMES])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv"])
def test_a_pause_before_the_end_does_not_lengthen_the_last_picture(
    tmp_path: Path, suffix: str, coded: dict[str, str]
) -> None:
    times = [n / 25 if n < 97 else n / 25 + 6 for n in range(100)]
    found = shown(record(tmp_path / f"a.{suffix}", times=times, seconds=10, codec_options=coded))
    assert found[-1][1] - found[0][0] == pytest.approx(10, abs=0.1)


def test_a_pause_behind_the_first_picture_does_not_lengthen_the_last_one(tmp_path: Path) -> None:
    # With B-frames, decoding then begins three seconds before the first picture is shown.
    times = [0.0, *(3 + n / 25 for n in range(1, 48))]
    found = shown(record(tmp_path / "a.mp4", times=times, seconds=4.92))
    assert found[-1][1] == pytest.approx(4.92, abs=0.01)


def test_a_long_last_picture_that_the_container_declares_is_kept(tmp_path: Path) -> None:
    def lengthen(packets: Packets) -> Packets:
        packets[-1].duration = 90_000 * 3
        return packets

    path = record(tmp_path / "a.mp4", codec_options=NO_B_FRAMES, sound=None, keep=lengthen)
    assert shown(path)[-1][1] == pytest.approx(99 / 25 + 3, abs=0.05)


def test_one_picture_a_second_lasts_a_second(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv", "ts", "avi"):
        found = shown(record(tmp_path / f"a.{suffix}", rate=1, seconds=8, sound=None))
        assert is_even(found, rate=1)
        assert found[-1][1] - found[0][0] == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("starts", [(0.0, 0.0), (1000.0, 3.0), (3.0, 1000.0), (0.0, 90_000.0)])
def test_a_clock_that_is_set_anew_goes_on_where_it_was(
    tmp_path: Path, starts: tuple[float, float]
) -> None:
    parts = [record(tmp_path / f"{n}.ts", start=starts[n]) for n in range(2)]
    path = joined(tmp_path / "joined.ts", *parts)
    found = shown(path)
    assert len(found) == 200
    assert is_even(found)
    heard = shown(path, "audio")
    assert heard[-1][1] - heard[0][0] == pytest.approx(8, abs=0.2)


def test_a_clock_that_wraps_goes_on(tmp_path: Path) -> None:
    # 33 bits at 90 kHz.
    found = shown(record(tmp_path / "a.ts", start=2**33 / 90_000 - 2))
    assert len(found) == 100
    assert is_even(found)


def test_a_pause_in_a_transport_stream_is_no_new_clock(tmp_path: Path) -> None:
    times = [n / 25 if n < 50 else n / 25 + 6 for n in range(100)]
    found = shown(record(tmp_path / "a.ts", times=times, seconds=10))
    assert found[-1][1] - found[0][0] == pytest.approx(10, abs=0.1)


def test_sound_behind_the_first_frame_of_a_packet_goes_on_from_it(tmp_path: Path) -> None:
    with open_media(str(record(tmp_path / "a.mp4"))) as container:
        stream, base = container.streams.audio[0], Fraction(1, 48_000)
        line = Stamps(stream, unstamped=False, resets=False)
        packet: Packet[Any] = Packet(b"sound")
        packet.pts, packet.time_base = 48_000, base
        line.take(packet)
        packed = []
        for stamp in (None, None, 96_000, None):
            frame = AudioFrame("fltp", "mono", 1024)
            frame.sample_rate, frame.pts, frame.time_base = 48_000, stamp, base
            packed.append(frame)
        line.place(packed)
    assert [frame.pts for frame in packed] == [48_000, 49_024, 96_000, 97_024]
