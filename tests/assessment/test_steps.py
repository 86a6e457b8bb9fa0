"""What each step finds in good videos, and in those that something happened to."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream
from tests.assessment.conftest import BLACK, FREEZE, SECONDS, SILENCE, Assess, codes, look

from wherry.assessment.media import FORMATS, Unreadable, open_media
from wherry.assessment.policy import POLICIES
from wherry.assessment.progress import StepResult
from wherry.assessment.report import find, verdict
from wherry.assessment.tally import Tally
from wherry.testing.video import (
    DAMAGES,
    make_playlist,
    make_text,
    make_video,
    truncate,
    zero_block,
)

CONTAINERS = ["mp4", "mkv", "ts", "mov", "avi", "flv"]


@pytest.fixture(scope="session")
def in_container(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same video in every container."""
    folder = tmp_path_factory.mktemp("containers")
    return {
        suffix: make_video(
            folder / f"video.{suffix}",
            seconds=SECONDS,
            width=320,
            height=180,
            black=BLACK,
            freeze=FREEZE,
            silence=SILENCE,
        )
        for suffix in CONTAINERS
    }


def test_a_sound_video_gets_a_report_with_what_was_planted(assess: Assess, video: Path) -> None:
    report = assess(video)
    assert report["verdict"] == "warn"
    assert codes(report) == ["VIS-BLACK", "VIS-FREEZE", "AUD-SILENCE"]
    found = [(f["start"], f["end"]) for f in report["findings"]]
    # Coded sound rings a little into the silence.
    assert found == [BLACK, FREEZE, pytest.approx(SILENCE, abs=0.01)]


def test_a_video_with_nothing_planted_passes(assess_here: Assess, tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "plain.mp4",
        seconds=3,
        width=320,
        height=180,
        black=None,
        freeze=None,
        silence=None,
    )
    report = assess_here(path)
    assert (report["verdict"], report["findings"]) == ("pass", [])


@pytest.mark.parametrize("container", CONTAINERS)
def test_planted_events_are_found_in_every_container(
    in_container: dict[str, Path], container: str, tmp_path: Path
) -> None:
    seen = look("visual", in_container[container], tmp_path)
    heard = look("audio", in_container[container], tmp_path)
    assert seen["black"]["ranges"] == near([BLACK])
    # What is black stands still, too.
    assert seen["freeze"]["ranges"] == near([BLACK, FREEZE])
    assert heard["silence"]["ranges"] == near([SILENCE])


def near(ranges: list[tuple[float, float]]) -> Any:
    return [pytest.approx(stretch, abs=0.1) for stretch in ranges]


def test_a_stretch_that_lasts_to_the_end_is_found(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "end.mp4",
        seconds=4,
        width=320,
        height=180,
        black=(2, 4),
        freeze=None,
        silence=(2, 4),
    )
    assert look("visual", path, tmp_path)["black"]["ranges"] == near([(2, 4)])
    assert look("audio", path, tmp_path)["silence"]["ranges"] == near([(2, 4)])


def test_the_probe_tells_what_the_file_says_of_itself(video: Path, tmp_path: Path) -> None:
    facts = look("probe", video, tmp_path)
    picture, sound = facts["streams"]
    assert (facts["duration"], facts["faststart"], facts["rotation"]) == (SECONDS, False, 0)
    assert (picture["codec"], picture["width"], picture["height"]) == ("h264", 320, 180)
    assert (picture["frame_rate"], picture["frames"]) == (25.0, 200)
    assert (sound["codec"], sound["sample_rate"], sound["channels"]) == ("aac", 48_000, 2)


def test_the_probe_tells_an_index_that_comes_first(tmp_path: Path) -> None:
    path = make_video(tmp_path / "fast.mp4", seconds=2, width=160, height=90, faststart=True)
    assert look("probe", path, tmp_path)["faststart"] is True


def test_the_probe_tells_colours_languages_and_the_clock_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "hdr.mov"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        assert isinstance(picture, VideoStream)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p10le"
        picture.codec_context.color_trc = ColorTrc.SMPTE2084
        picture.codec_context.sample_aspect_ratio = Fraction(4, 3)
        picture.metadata["timecode"] = "01:00:00:00"
        picture.metadata["language"] = "fra"
        frame = VideoFrame(64, 48, "yuv420p10le")
        for number in range(10):
            frame.pts = number
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
    facts = look("probe", path, tmp_path)
    video = facts["streams"][0]
    assert (video["hdr"], video["colour_transfer"], video["bit_depth"]) == ("PQ", "smpte2084", 10)
    assert (video["sample_aspect_ratio"], video["display_width"]) == ("4:3", 85)
    assert (facts["timecode"], facts["video_seconds"]) == ("01:00:00:00", 0.4)
    assert "fra" in facts["languages"]


def test_frames_out_of_order_and_without_a_time_are_counted(tmp_path: Path, video: Path) -> None:
    with open_media(str(video)) as container:
        tally = Tally(container.streams.audio[0], 0.0)
        for stamp in (0, 2048, 1024, None, 3072):
            frame = AudioFrame("fltp", "stereo", 1024)
            frame.sample_rate, frame.pts, frame.time_base = 48_000, stamp, Fraction(1, 48_000)
            tally.take_frame(frame)
    assert (tally.unordered, tally.untimed) == (1, 1)


def test_sound_that_changes_its_rate_half_way_is_heard_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []
    for rate in (48_000, 44_100):
        monkeypatch.setattr("wherry.testing.video.SAMPLE_RATE", rate)
        part = tmp_path / f"{rate}.ts"
        parts.append(make_video(part, seconds=4, video=False, silence=None).read_bytes())
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    facts = look("audio", path, tmp_path)
    assert facts["loudness"]["integrated"] == pytest.approx(-20, abs=0.5)
    assert facts["silence"]["count"] == 0


def test_everything_in_a_sound_video_is_decoded(video: Path, tmp_path: Path) -> None:
    facts = look("integrity", video, tmp_path)
    picture, sound = facts["streams"]
    assert (picture["frames"], picture["missing"], sound["end"]) == (200, 0, SECONDS)
    assert (facts["errors"], facts["damaged"], facts["missing_seconds"]) == (0, 0, 0.0)


def test_the_poster_is_a_picture_of_the_videos_shape(video: Path, tmp_path: Path) -> None:
    (picture,) = look("poster", video, tmp_path)["artefacts"]
    assert (picture["width"], picture["height"]) == (320, 180)
    written = (tmp_path / picture["name"]).read_bytes()
    assert (written[:3], written[-2:]) == (b"\xff\xd8\xff", b"\xff\xd9")


# Damage.


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_video_fails_with_a_reason(assess_here: Assess, video: Path, damage: str) -> None:
    report = assess_here(DAMAGES[damage](video))
    assert report["verdict"] == "fail"
    assert set(codes(report, "fail")) & {"FILE-UNREADABLE", "INT-ERRORS"}


@pytest.mark.parametrize(
    ("container", "damage"),
    # A transport stream says nowhere how long it is, so nobody can miss its end.
    sorted({*product(["mkv", "ts", "flv", "avi"], DAMAGES)} - {("ts", "truncated")}),
)
def test_damage_is_found_in_other_containers(
    in_container: dict[str, Path], tmp_path: Path, container: str, damage: str
) -> None:
    path = Path(shutil.copy(in_container[container], tmp_path))
    facts = look("integrity", DAMAGES[damage](path), tmp_path)
    result = StepResult("integrity", "done", 0.0, facts)
    found = find(path.stat().st_size, POLICIES["web"], [result])
    assert verdict(list(found)) == "fail"


def test_damage_is_told_with_the_place_where_it_begins(video: Path, tmp_path: Path) -> None:
    facts = look("integrity", DAMAGES["zeroed block"](video), tmp_path)
    times = [e["time"] for s in facts["streams"] for e in s["first_errors"]]
    # The block lies at seven tenths of the bytes, and the bit rate is constant over a second.
    assert min(times) == pytest.approx(0.7 * SECONDS, abs=1.0)
    assert facts["errors"] + facts["damaged"] >= len(times)


def test_a_video_cut_off_behind_its_index_is_told_as_truncated(
    assess_here: Assess, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "cut.mp4", seconds=5, width=320, height=180, faststart=True)
    report = assess_here(truncate(path, 0.5))
    assert "INT-TRUNCATED" in codes(report, "fail")
    assert report["integrity"]["missing_seconds"] == pytest.approx(2.5, abs=0.5)


def test_a_video_without_its_index_says_so(video: Path) -> None:
    with pytest.raises(Unreadable, match="index is missing"):
        open_media(str(truncate(video)))


def test_a_single_damaged_frame_is_not_overlooked(assess_here: Assess, video: Path) -> None:
    report = assess_here(zero_block(video, length=64))
    (finding,) = [f for f in report["findings"] if f["code"] == "INT-ERRORS"]
    assert (finding["severity"], finding["threshold"]) == ("fail", 0)
    assert finding["value"] >= 1


# What is no video.


def test_a_video_without_sound_is_told(assess_here: Assess, tmp_path: Path) -> None:
    path = make_video(tmp_path / "mute.mp4", seconds=2, width=160, height=90, audio=False)
    report = assess_here(path)
    assert (report["verdict"], codes(report)) == ("warn", ["AUDIO-MISSING"])
    assert report["audio"]["silence"]["stream"] is None


def test_a_file_with_sound_alone_is_judged_by_its_sound(
    assess_here: Assess, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "song.m4a", seconds=2, video=False, silence=None)
    report = assess_here(path)
    assert (report["verdict"], codes(report, "info")) == ("pass", ["VIDEO-MISSING"])
    assert [picture["kind"] for picture in report["artefacts"]] == ["waveform"]


def test_a_black_video_fails(assess_here: Assess, tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "night.mp4", seconds=2, width=160, height=90, black=(0, 2), silence=None
    )
    assert "VIS-BLACK" in codes(assess_here(path), "fail")


def test_an_empty_file_fails(assess: Assess, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    report = assess(path)
    assert (report["verdict"], codes(report)) == ("fail", ["FILE-EMPTY"])


def test_a_text_file_fails_whatever_its_name(assess: Assess, tmp_path: Path) -> None:
    report = assess(make_text(tmp_path / "novel.mp4"))
    assert (report["verdict"], codes(report)) == ("fail", ["FILE-UNREADABLE"])


@pytest.mark.parametrize("kind", ["hls", "ffconcat", "concat", "sdp"])
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "ffconcat", "sdp"])
def test_a_list_of_other_files_is_refused(
    tmp_path: Path, video: Path, kind: str, suffix: str
) -> None:
    path = make_playlist(tmp_path / f"list.{suffix}", kind, str(video))
    with pytest.raises(Unreadable):
        open_media(str(path))


def test_a_list_gets_a_failing_report_and_nothing_it_names_is_opened(
    assess: Assess, tmp_path: Path
) -> None:
    # Opening a pipe for reading would wait for a writer, and so meet the deadline.
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    for kind in ("hls", "ffconcat"):
        report = assess(make_playlist(tmp_path / f"{kind}.mp4", kind, str(pipe)))
        assert (report["verdict"], codes(report)) == ("fail", ["FILE-UNREADABLE"])


@pytest.mark.parametrize("name", ["hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi", "imf"])
def test_no_format_that_opens_other_files_is_allowed(name: str) -> None:
    assert name not in FORMATS.split(",")


def test_a_video_with_too_many_streams_is_refused(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.assessment.media.MAX_STREAMS", 1)
    with pytest.raises(Unreadable):
        open_media(str(video))


def test_pictures_that_are_too_large_are_refused(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.assessment.media.MAX_PIXELS", 319 * 180)
    with pytest.raises(Unreadable):
        open_media(str(video))


def test_frames_that_nobody_counted_are_missed_by_their_time(
    in_container: dict[str, Path], tmp_path: Path
) -> None:
    path = Path(shutil.copy(in_container["flv"], tmp_path))
    facts = look("integrity", DAMAGES["zeroed block"](path), tmp_path)
    picture = facts["streams"][0]
    start, end = picture["gaps"][0]
    assert picture["missing"] == pytest.approx((end - start) * 25, abs=2)


def test_a_stream_that_begins_in_mid_file_is_told_and_does_not_end_the_step(
    in_container: dict[str, Path], tmp_path: Path
) -> None:
    path = Path(shutil.copy(in_container["flv"], tmp_path))
    data = bytearray(path.read_bytes())
    # A script tag (type 18) in mid-file: FLV makes a data stream of it.
    at = data.index(b"\x09", len(data) // 2)
    while not is_flv_tag(data, at):
        at = data.index(b"\x09", at + 1)
    data[at] = 18
    path.write_bytes(data)
    facts = look("integrity", path, tmp_path)
    assert facts["unreadable_from"] is None
    assert facts["streams"][1]["end"] == pytest.approx(SECONDS, abs=0.1)


def is_flv_tag(data: bytearray, at: int) -> bool:
    """Whether a video tag begins here: its length leads to a field that repeats it."""
    length = int.from_bytes(data[at + 1 : at + 4], "big")
    end = at + 11 + length
    return data[end : end + 4] == (11 + length).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("turned", "shape"), [(0, (320, 180)), (90, (180, 320)), (180, (320, 180))]
)
def test_the_poster_stands_upright(
    video: Path, tmp_path: Path, turned: int, shape: tuple[int, int]
) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(turned)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert look("probe", path, tmp_path)["rotation"] == turned
    (picture,) = look("poster", path, tmp_path)["artefacts"]
    assert (picture["width"], picture["height"]) == shape
