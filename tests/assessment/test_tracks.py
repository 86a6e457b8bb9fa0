"""Tracks beside those that are played do no harm; codecs have their own names."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest
from tests.assessment.conftest import Assess, codes, look
from tests.assessment.recordings import NO_B_FRAMES, record, without_decoder

from wherry.assessment.steps import integrity
from wherry.testing.video import zero_block


def test_a_second_sound_track_without_a_decoder_does_not_fail_a_video(
    assess_here: Assess, tmp_path: Path
) -> None:
    report = assess_here(without_decoder(record(tmp_path / "a.mov", sounds=2)))
    assert (report["verdict"], codes(report)) == ("pass", ["CODEC-UNKNOWN"])
    (finding,) = report["findings"]
    assert (finding["severity"], finding["basis"]) == ("info", "declared")
    assert report["audio"]["stream"] == 1


def test_sound_without_a_decoder_fails_where_there_is_no_other(
    assess_here: Assess, tmp_path: Path
) -> None:
    report = assess_here(without_decoder(record(tmp_path / "a.mov")))
    assert codes(report, "fail") == ["CODEC-UNKNOWN"]


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libsvtav1", "av1", {"preset": "12"}),
        ("libvpx-vp9", "vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("libx265", "hevc", {"preset": "ultrafast"}),
    ],
)
def test_a_codec_has_its_own_name_and_not_its_decoders(
    tmp_path: Path, codec: str, name: str, options: dict[str, str]
) -> None:
    path = record(tmp_path / "a.mkv", seconds=1, codec=codec, codec_options=options, sound="mp3")
    probed, counted = look("probe", path, tmp_path), look("integrity", path, tmp_path)
    assert [stream["codec"] for stream in probed["streams"]] == [name, "mp3"]
    assert [stream["codec"] for stream in counted["streams"]] == [name, "mp3"]


def test_recording_leaves_the_scheduling_of_the_tests_as_it_was(tmp_path: Path) -> None:
    record(tmp_path / "a.mkv", seconds=1, codec="libsvtav1", codec_options={"preset": "12"})
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize("sound", ["ac3", "eac3", "mp2"])
def test_the_sound_of_transport_streams_is_known_by_its_name(tmp_path: Path, sound: str) -> None:
    probed = look("probe", record(tmp_path / "a.ts", sound=sound), tmp_path)
    assert [stream["codec"] for stream in probed["streams"]] == ["h264", sound]


def spoilt_last_packet(path: Path) -> Path:
    """Nothing can be made of the last picture."""
    record(path, codec_options=NO_B_FRAMES, sound=None)
    with av.open(str(path)) as container:
        last = max(p.pos for p in container.demux(video=0) if p.size and p.pos is not None)
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[last : last + 4], "big")
    data[last + 4 : last + 4 + length] = bytes(length)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("harm", ["last packet", "block"])
def test_the_report_is_the_same_on_any_number_of_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    path = tmp_path / "a.mp4"
    if harm == "block":
        zero_block(record(path), length=4000)
    else:
        spoilt_last_packet(path)
    told = []
    for threads in (1, 2, 4, 8):
        monkeypatch.setattr(integrity, "THREADS", threads)
        told.append(look("integrity", path, tmp_path))
    assert told[0]["errors"] + told[0]["damaged"] > 0
    assert all(facts == told[0] for facts in told)
