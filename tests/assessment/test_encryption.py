"""What is encrypted is said to be so, and is not told as damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.assessment.conftest import Assess, codes, look
from tests.assessment.recordings import (
    CENC,
    FRAGMENTED,
    record,
    renamed,
    said_to_be_encrypted,
    scrambled,
    with_key,
)

from wherry.assessment.policy import POLICIES
from wherry.assessment.progress import StepResult
from wherry.assessment.report import find

ENCRYPTED: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "cenc": ("mp4", lambda path: record(path, options=CENC)),
    "cbcs": ("mp4", lambda path: renamed(record(path, options=CENC), b"cenc", b"cbcs")),
    "cenc in fragments": ("mp4", lambda path: record(path, options={**CENC, **FRAGMENTED})),
    "SAMPLE-AES": ("ts", lambda path: said_to_be_encrypted(record(path))),
    "scrambled": ("ts", lambda path: scrambled(record(path))),
}


@pytest.mark.parametrize("case", ENCRYPTED)
def test_an_encrypted_file_is_said_to_be_encrypted_and_nothing_else(
    assess_here: Assess, tmp_path: Path, case: str
) -> None:
    suffix, make = ENCRYPTED[case]
    report = assess_here(make(tmp_path / f"a.{suffix}"))
    assert (report["verdict"], codes(report)) == ("warn", ["STREAM-ENCRYPTED"] * 2)
    assert "encrypted" in report["findings"][0]["message"]
    assert [stream["encrypted"] for stream in report["probe"]["streams"]] == [True, True]
    assert report["integrity"]["errors"] == 0
    assert report["visual"]["freeze"]["stream"] is None


def test_a_picture_that_is_encrypted_does_not_keep_the_sound_from_being_heard(
    assess_here: Assess, tmp_path: Path
) -> None:
    path = record(tmp_path / "a.mp4", options=CENC)
    # Where only the sample entry of the picture says so.
    report = assess_here(renamed(path, b"enca", b"mp4a"))
    picture, _ = report["probe"]["streams"]
    assert picture["encrypted"]
    assert "STREAM-ENCRYPTED" in codes(report)
    assert report["audio"]["stream"] == 1


def test_a_policy_decides_how_bad_it_is(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", options=CENC)
    result = StepResult("probe", "done", 0.0, look("probe", path, tmp_path))
    severities = {
        name: {finding.severity.value for finding in find(1, POLICIES[name], [result])}
        for name in ("web", "broadcast")
    }
    assert severities == {"web": {"warn"}, "broadcast": {"fail"}}


def test_a_clear_file_is_not_said_to_be_encrypted(tmp_path: Path) -> None:
    for suffix in ("mp4", "ts", "mkv"):
        streams = look("probe", record(tmp_path / f"a.{suffix}"), tmp_path)["streams"]
        assert [stream["encrypted"] for stream in streams] == [False, False]


def test_the_key_of_a_matroska_track_is_seen(tmp_path: Path) -> None:
    path = with_key(record(tmp_path / "a.mkv", options={"live": "1"}))
    streams = look("probe", path, tmp_path)["streams"]
    assert [stream["encrypted"] for stream in streams] == [True, False]
