"""The report is a judgement over plain facts, and survives facts that make no sense."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.assessment.policy import POLICIES, Policy, Severity
from wherry.assessment.progress import StepResult, allow
from wherry.assessment.report import FINDERS, SCHEMA, find, render_report
from wherry.assessment.text import render_report_text
from wherry.core.upload import Upload

WEB = POLICIES["web"]
UPLOAD = Upload("u", "ada", "holiday.mp4", 1000, 1000, content_type="video/mp4")

PROBE: dict[str, Any] = {
    "container": "mov",
    "duration": 100.0,
    "streams": [
        {"index": 0, "type": "video", "codec": "h264", "width": 64, "height": 48, "cover": False},
        {"index": 1, "type": "audio", "codec": "aac", "sample_rate": 48000, "layout": "stereo"},
    ],
}
STREAMS: list[dict[str, Any]] = [
    {"index": 0, "type": "video", "frames": 2500, "first_errors": [], "gaps": []},
    {"index": 1, "type": "audio", "frames": 4600, "first_errors": [], "gaps": []},
]
INTEGRITY: dict[str, Any] = {
    "streams": STREAMS,
    "errors": 0,
    "damaged": 0,
    "missing": 0,
    "expected": 2500,
    "declared_seconds": 100.0,
    "decoded_seconds": 100.0,
    "missing_seconds": 0.0,
    "video_longer_by": 0.0,
    "unannounced": 0,
}


def judged(step: str, facts: dict[str, Any], policy: Policy = WEB) -> list[tuple[str, str]]:
    """Codes and severities of what is found in one step's facts."""
    found = find(1000, policy, [StepResult(step, "done", 0.0, facts)])
    return [(finding.code, finding.severity.value) for finding in found]


def ranges(*stretches: tuple[float, float], share: float = 0.1) -> dict[str, Any]:
    return {"stream": 0, "ranges": [list(s) for s in stretches], "share": share}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"errors": 1}, [("INT-ERRORS", "fail")]),
        ({"damaged": 1}, [("INT-ERRORS", "fail")]),
        ({"missing": 2}, []),
        ({"missing": 3}, [("INT-FRAMES-MISSING", "warn")]),
        ({"missing": 200}, [("INT-FRAMES-MISSING", "fail")]),
        ({"missing_seconds": 0.5}, []),
        ({"missing_seconds": 0.6}, [("INT-TRUNCATED", "fail")]),
        ({"video_longer_by": -1.5}, [("AV-UNEVEN", "warn")]),
        ({"video_longer_by": None}, []),
        ({"unannounced": 3}, [("INT-UNANNOUNCED", "warn")]),
    ],
)
def test_integrity_is_judged_by_the_policy(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert judged("integrity", INTEGRITY | changes) == expected


def test_a_pause_in_one_stream_is_a_warning_and_in_all_a_failure() -> None:
    def with_gaps(video: list[list[float]], audio: list[list[float]]) -> list[tuple[str, str]]:
        streams = [STREAMS[0] | {"gaps": video}, STREAMS[1] | {"gaps": audio}]
        return judged("integrity", INTEGRITY | {"streams": streams})

    assert with_gaps([[5, 5.5]], []) == []
    assert with_gaps([[5, 7]], []) == [("INT-GAP", "warn")]
    assert with_gaps([[5, 5.5]], [[5.1, 5.6]]) == [("INT-GAP", "fail")] * 2
    assert with_gaps([[5, 5.5]], [[6, 6.5]]) == []


def test_stretches_are_told_from_their_threshold_on() -> None:
    assert judged("black", ranges((1, 1.9))) == []
    assert judged("black", ranges((1, 2), (5, 9))) == [("VIS-BLACK", "warn")] * 2
    assert judged("silence", ranges((0, 2))) == [("AUD-SILENCE", "warn")]
    assert judged("black", ranges((0, 100), share=1.0)) == [("VIS-BLACK", "fail")]


def test_a_black_stretch_is_not_told_as_frozen_too() -> None:
    results = [
        StepResult("black", "done", 0.0, ranges((5, 7))),
        StepResult("freeze", "done", 0.0, ranges((5, 7), (10, 13))),
    ]
    found = [(f.code, f.start) for f in find(1000, WEB, results)]
    assert found == [("VIS-BLACK", 5), ("VIS-FREEZE", 10)]


def test_another_policy_judges_otherwise() -> None:
    strict = replace(WEB, no_audio=Severity.FAIL)
    mute = PROBE | {"streams": PROBE["streams"][:1]}
    assert judged("probe", mute) == [("AUDIO-MISSING", "warn")]
    assert judged("probe", mute, strict) == [("AUDIO-MISSING", "fail")]


def test_a_codec_that_is_not_known_is_a_failure() -> None:
    unknown = [PROBE["streams"][0] | {"codec": None}, PROBE["streams"][1]]
    assert judged("probe", PROBE | {"streams": unknown}) == [("CODEC-UNKNOWN", "fail")]


def test_a_step_without_a_result_is_a_failure() -> None:
    problem = {"kind": "timeout", "message": "it took too long"}
    (finding,) = find(1000, WEB, [StepResult("black", "failed", 9.0, problem=problem)])
    assert (finding.code, finding.severity) == ("STEP-FAILED", Severity.FAIL)
    assert "it took too long" in finding.message


def report_of(*results: StepResult) -> dict[str, Any]:
    return render_report(UPLOAD, "a", WEB, results)


def test_a_report_has_every_section_and_is_plain_json() -> None:
    picture = {"name": "poster.jpg", "width": 64, "height": 48}
    report = report_of(
        StepResult("probe", "done", 0.1, PROBE, confined=["files"]),
        StepResult("integrity", "done", 0.2, INTEGRITY, confined=["files"]),
        StepResult("black", "done", 0.3, ranges((5, 7))),
        StepResult("freeze", "done", 0.3, ranges()),
        StepResult("silence", "done", 0.1, ranges()),
        StepResult("poster", "done", 0.1, {"stream": 0, "artefacts": [picture]}),
        StepResult("acme.watermark", "done", 0.1, {"seen": True}),
    )
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["schema"], report["verdict"], report["policy"]) == (SCHEMA, "warn", "web")
    assert report["source"] | {"digest": "?"} == {
        "filename": "holiday.mp4",
        "size": 1000,
        "content_type": "video/mp4",
        "digest": "?",
    }
    assert report["artefacts"] == [picture]
    assert report["other"] == {"acme.watermark": {"seen": True}}
    assert report["engine"]["confined"] == ["files"]
    assert set(report["engine"]["versions"]) == {"wherry", "av", "dbos"}


def test_a_report_is_the_same_when_it_is_made_again() -> None:
    results = [StepResult("probe", "done", 0.1, PROBE), StepResult("black", "failed", 1.0)]
    assert report_of(*results) == report_of(*results)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(step=st.sampled_from(sorted(FINDERS)), data=st.data())
def test_whatever_a_step_says_there_is_a_report_and_a_text(step: str, data: st.DataObject) -> None:
    sound = {"probe": PROBE, "integrity": INTEGRITY}.get(step, ranges((1, 5)))
    keys = data.draw(st.lists(st.sampled_from(sorted(sound)), max_size=3))
    facts = {**sound, **{key: data.draw(plain) for key in keys}}
    empty = StepResult("black", "done", 0.0, ranges((1, 5)))
    report = report_of(StepResult(step, "done", 0.0, facts), empty)
    assert report["verdict"] in ("pass", "warn", "fail")
    assert render_report_text(report)


def test_the_text_names_what_was_found_with_its_seconds() -> None:
    text = render_report_text(
        report_of(
            StepResult("probe", "done", 0.1, PROBE),
            StepResult("integrity", "done", 0.2, INTEGRITY),
            StepResult("black", "done", 0.3, ranges((5, 7), (65, 67.5))),
        )
    )
    lines = text.splitlines()
    assert lines[0] == "holiday.mp4  (1000 bytes)"
    assert any("WARN" in line for line in lines)
    assert any("VIS-BLACK" in line and "5.00 s to 7.00 s" in line for line in lines)
    assert any("VIS-BLACK" in line and "1:05.00 to 1:07.50" in line for line in lines)
    assert any("probe 0.1 s, integrity 0.2 s" in line for line in lines)


def test_the_text_lets_no_control_character_of_a_file_through() -> None:
    probe = PROBE | {"container": "\x1b[2Jmov\n"}
    upload = replace(UPLOAD, filename="a\x1b]0;title\x07.mp4")
    report = render_report(upload, "a", WEB, [StepResult("probe", "done", 0.1, probe)])
    assert all(letter.isprintable() or letter == "\n" for letter in render_report_text(report))
    assert render_report_text(report).count("mov\n") == 0


def test_a_step_may_take_longer_for_a_longer_video_but_not_for_ever() -> None:
    assert allow(0, 0.0).seconds == 60
    assert allow(10**9, 600.0).seconds > allow(10**8, 60.0).seconds > allow(10**7, 6.0).seconds
    assert allow(1000, 1e9).seconds < 70
    assert allow(10**18, 1e300).seconds == 6 * 3600
