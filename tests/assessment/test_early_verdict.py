"""What the beginning and the end of a file show is what its report will say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import BOUNDS, look
from tests.assessment.recordings import CENC, padded, record, without_decoder, without_index

from wherry.assessment.early_verdict import BOUNDS as EARLY_BOUNDS
from wherry.assessment.early_verdict import EarlyLooks
from wherry.assessment.media import Unreadable
from wherry.assessment.policy import POLICIES, Policy, parse_policy
from wherry.assessment.progress import StepResult
from wherry.assessment.report import find
from wherry.core.early_verdict import EarlyVerdict
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Upload
from wherry.storage.localfile import LocalFile
from wherry.testing.video import make_video

POLICY = POLICIES["web"]
HEAD = 128 * KiB
TAIL = 256 * KiB


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EarlyLooks]:
    looks = EarlyLooks(POLICY, tmp_path_factory.mktemp("scratch"))
    yield looks
    looks.close()


def of(path: Path, *received: Range) -> Upload:
    """The unfinished upload of this file, with these bytes of it."""
    length = path.stat().st_size
    parts = PartSet.of(Part(each.start, each.end, 0) for each in received)
    return Upload("0" * 32, "alice", path.name, length, length, received=parts)


def only(path: Path, *received: Range) -> Path:
    """The unfinished file: what has not been received is zeros."""
    partial = path.with_name(f"partial-{path.name}")
    with path.open("rb") as whole, partial.open("wb") as file:
        os.truncate(partial, path.stat().st_size)
        for each in received:
            whole.seek(each.start)
            file.seek(each.start)
            file.write(whole.read(len(each)))
    return partial


def looked(looks: EarlyLooks, path: Path, *received: Range) -> EarlyVerdict:
    partial = only(path, *received)
    return looks.look(of(path, *received), LocalFile.at(partial))


def ends(path: Path) -> list[Range]:
    length = path.stat().st_size
    return [Range(0, min(HEAD, length)), Range(max(length - TAIL, HEAD), length)]


def in_the_end(path: Path, folder: Path, policy: Policy = POLICY) -> list[dict[str, Any]]:
    """What the probe of the report finds in the whole file."""
    facts: dict[str, Any]
    try:
        facts = look("probe", path, folder)
    except Unreadable as reason:
        facts = {"unreadable": str(reason), "is_media": reason.is_media}
    found = find(path.stat().st_size, policy, [StepResult("probe", "done", 0.0, facts)])
    return [finding.model_dump(mode="json") for finding in found]


def made(path: Path, **options: Any) -> Path:
    return make_video(path, seconds=2, width=160, height=90, **options)


FILES: dict[str, tuple[str, Callable[[Path], Path], list[str]]] = {
    "an index at the end": ("mp4", lambda p: padded(made(p)), []),
    "an index at the beginning": ("mp4", lambda p: padded(made(p, faststart=True)), []),
    "no index": ("mp4", lambda p: without_index(padded(record(p))), ["FILE-UNREADABLE"]),
    "no video": ("mp4", lambda p: padded(made(p, video=False)), ["VIDEO-MISSING"]),
    "no sound": ("mov", lambda p: padded(made(p, audio=False)), ["AUDIO-MISSING"]),
    "encrypted": ("mp4", lambda p: padded(record(p, options=CENC)), ["STREAM-ENCRYPTED"] * 2),
    "no decoder": ("mp4", lambda p: padded(without_decoder(made(p))), ["CODEC-UNKNOWN"]),
}


@pytest.mark.parametrize("name", FILES)
def test_the_ends_of_a_file_show_what_its_report_will_say(
    name: str, looks: EarlyLooks, tmp_path: Path
) -> None:
    suffix, make, codes = FILES[name]
    path = make(tmp_path / f"film.{suffix}")
    found = looked(looks, path, *ends(path))
    assert found.needs is None, found
    assert found.problem is None
    assert [finding["code"] for finding in found.findings] == codes
    assert list(found.findings) == in_the_end(path, tmp_path)
    worst = {"fail", "warn"} & {finding["severity"] for finding in found.findings}
    assert found.verdict == min(worst, default="pass")


@pytest.mark.parametrize(
    ("suffix", "audio"), [(".mp4", True), (".mkv", False), (".avi", True), (".ts", False)]
)
def test_bytes_that_are_missing_are_named_until_the_verdict_is_known(
    suffix: str, audio: bool, looks: EarlyLooks, tmp_path: Path
) -> None:
    path = made(tmp_path / f"film{suffix}", audio=audio, size_at_least=3 * MiB)
    received = [Range(0, 512 * KiB)]
    for _ in range(8):
        found = looked(looks, path, *received)
        if found.needs is None:
            break
        missing = of(path, *received).received.missing(found.needs)
        assert missing, "it has asked for these already"
        received += missing
    assert found.problem is None
    assert list(found.findings) == in_the_end(path, tmp_path)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("short = { fail = 2.5 }", "FILE-SHORT"),
        ("long = { fail = 1.5 }", "FILE-LONG"),
        ("small = { fail = 91 }", "VIDEO-SMALL"),
        ('video_codecs = { fail = ["hevc", "av1"] }', "CODEC-REFUSED"),
        ('audio_codecs = { fail = ["opus"] }', "CODEC-REFUSED"),
        ("short = { fail = 1 }\nlong = { fail = 3 }\nsmall = { fail = 90 }", None),
        ('video_codecs = { fail = ["h264"] }\naudio_codecs = { fail = ["aac"] }', None),
    ],
)
def test_what_a_house_wants_of_length_size_and_codec_is_told_early(
    text: str, code: str | None, tmp_path: Path
) -> None:
    policy = parse_policy("house", "house", text)
    path = padded(made(tmp_path / "film.mp4"))
    looks = EarlyLooks(policy, tmp_path / "scratch")
    try:
        found = looked(looks, path, *ends(path))
    finally:
        looks.close()
    assert (found.needs, found.problem) == (None, None)
    assert [finding["code"] for finding in found.findings] == ([code] if code else [])
    assert list(found.findings) == in_the_end(path, tmp_path, policy)


def test_what_is_no_video_and_is_not_called_one_is_told_as_in_the_report(
    looks: EarlyLooks, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"%PDF-1.7" + bytes(MiB))
    found = looked(looks, path, *ends(path))
    assert [finding["code"] for finding in found.findings] == ["FILE-UNREADABLE"]
    assert found.verdict == "fail"


def test_a_look_leaves_nothing_behind(looks: EarlyLooks, tmp_path: Path) -> None:
    path = padded(made(tmp_path / "film.mp4"))
    scratch = tmp_path / "scratch"
    alone = EarlyLooks(POLICY, scratch)
    assert looked(alone, path, *ends(path)).verdict == "pass"
    assert list(scratch.iterdir()) == []
    alone.close()
    assert looked(alone, path, *ends(path)).problem


def test_a_look_has_less_time_and_memory_than_a_step() -> None:
    assert EARLY_BOUNDS.seconds <= 20
    assert EARLY_BOUNDS.memory < BOUNDS.memory
