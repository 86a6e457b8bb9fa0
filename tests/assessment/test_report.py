"""The report is a judgement over plain facts, and survives facts that make no sense."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.conftest import check_report, codes

from wherry.assessment.policy import POLICIES, Policy, Severity
from wherry.assessment.progress import StepResult, allow
from wherry.assessment.report import find, render_report
from wherry.assessment.schema import SCHEMA
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


POSTER: dict[str, Any] = {
    "name": "poster.jpg",
    "kind": "poster",
    "content_type": "image/jpeg",
    "width": 64,
    "height": 48,
    "time": 3.0,
}


def ranges(*stretches: tuple[float, float], share: float = 0.1) -> dict[str, Any]:
    total = sum(end - start for start, end in stretches)
    found = [list(stretch) for stretch in stretches]
    return {
        "stream": 0,
        "ranges": found,
        "count": len(found),
        "seconds": total,
        "share": share,
    }


VISUAL: dict[str, Any] = {
    "black": ranges((5, 7), (65, 67.5)),
    "freeze": ranges(),
    "scenes": {"count": 3, "cuts": [1.0, 5.0, 7.0]},
}
AUDIO: dict[str, Any] = {
    "stream": 1,
    "loudness": {"integrated": -23.0, "range": 5.0, "true_peak": -1.0},
    "silence": ranges(),
    "clipping": ranges(),
    "channels": [{"name": "FL", "peak": -1.5, "silent": False}],
}


def judged(step: str, facts: dict[str, Any], policy: Policy = WEB) -> list[tuple[str, str]]:
    """Codes and severities of what is found in one step's facts."""
    found = find(1000, policy, [StepResult(step, "done", 0.0, facts)])
    return [(finding.code, finding.severity.value) for finding in found]


def luma(outside: float) -> dict[str, Any]:
    return {"outside": outside, "worst": 0.5, "worst_time": 3.0}


def interlace(share: float) -> dict[str, Any]:
    facts = {"top_first": 90, "bottom_first": 0, "progressive": 10, "declared": 0}
    return facts | {"share": share}


def loudness(integrated: float | None, peak: float | None) -> dict[str, Any]:
    return {"integrated": integrated, "range": None, "true_peak": peak}


def channels(*silent: bool) -> list[dict[str, Any]]:
    return [{"name": f"C{n}", "peak": None, "silent": is_so} for n, is_so in enumerate(silent)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"errors": 1}, [("INT-ERRORS", "fail")]),
        ({"damaged": 1}, [("INT-ERRORS", "fail")]),
        ({"missing": 2}, []),
        ({"missing": 3}, [("INT-FRAMES-MISSING", "warn")]),
        ({"missing": 200}, [("INT-FRAMES-MISSING", "fail")]),
        ({"missing": 2, "expected": 20}, [("INT-FRAMES-MISSING", "fail")]),
        ({"missing_bytes": 1}, [("INT-TRUNCATED", "fail")]),
        ({"skipped_bytes": 1}, [("INT-SKIPPED", "fail")]),
        ({"container_missing": 0.6}, [("INT-LENGTH", "warn")]),
        ({"cut_off": True}, [("INT-CUT-OFF", "warn")]),
        ({"video_longer_by": -1.5}, [("AV-UNEVEN", "warn")]),
        ({"video_longer_by": None}, []),
        ({"unannounced": 3}, [("INT-UNANNOUNCED", "warn")]),
    ],
)
def test_integrity_is_judged_by_the_policy(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert judged("integrity", INTEGRITY | changes) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"missing_end": 0.5, "declared_end": 100.0}, []),
        ({"missing_end": 0.6, "declared_end": 100.0}, [("INT-TRUNCATED", "fail")]),
        ({"leading": 3}, [("INT-LEADING", "info")]),
        ({"resets": [3.0, 5.0]}, [("INT-CLOCK", "info")]),
    ],
)
def test_what_a_track_lacks_is_judged_by_the_policy(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    streams = [STREAMS[0] | changes, STREAMS[1]]
    assert judged("integrity", INTEGRITY | {"streams": streams}) == expected


def test_a_pause_in_one_stream_counts_from_a_second_and_in_all_at_once() -> None:
    def with_gaps(video: list[list[float]], audio: list[list[float]]) -> list[tuple[str, str]]:
        streams = [STREAMS[0] | {"gaps": video}, STREAMS[1] | {"gaps": audio}]
        return judged("integrity", INTEGRITY | {"streams": streams})

    assert with_gaps([[5, 5.5]], []) == []
    assert with_gaps([[5, 7]], []) == [("INT-GAP", "warn")]
    assert with_gaps([[5, 5.5]], [[5.1, 5.6]]) == [("INT-GAP", "warn")] * 2
    assert with_gaps([[5, 5.5]], [[6, 6.5]]) == []


@pytest.mark.parametrize(
    ("step", "facts", "expected"),
    [
        ("visual", {"black": ranges((1, 1.9))}, []),
        ("visual", {"black": ranges((1, 2), (5, 9))}, [("VIS-BLACK", "warn")] * 2),
        ("visual", {"black": ranges((0, 100), share=1.0)}, [("VIS-BLACK", "fail")]),
        ("visual", {"blur": ranges((1, 3)) | {"mean": 9.0}}, [("VIS-BLUR", "warn")]),
        ("visual", {"luma": luma(0.1)}, []),
        ("visual", {"luma": luma(0.11)}, [("VIS-LUMA", "warn")]),
        ("visual", {"interlace": interlace(0.5)}, []),
        ("visual", {"interlace": interlace(0.51)}, [("VIS-INTERLACED", "warn")]),
        ("audio", {"silence": ranges((0, 2))}, [("AUD-SILENCE", "warn")]),
        ("audio", {"clipping": ranges((0, 0.6))}, [("AUD-CLIPPING", "warn")]),
        ("audio", {"loudness": loudness(-14, 1.0)}, []),
        ("audio", {"loudness": loudness(-36, -20)}, [("AUD-LOUDNESS", "warn")]),
        (
            "audio",
            {"loudness": loudness(-7, 1.1)},
            [("AUD-LOUDNESS", "warn"), ("AUD-PEAK", "warn")],
        ),
        ("audio", {"loudness": loudness(None, None)}, []),
        ("audio", {"channels": channels(False, False)}, []),
        ("audio", {"channels": channels(False, True)}, [("AUD-CHANNEL", "warn")]),
        # All of it is silent: that is told as silence.
        ("audio", {"channels": channels(True, True)}, []),
    ],
)
def test_picture_and_sound_are_judged_by_the_policy(
    step: str, facts: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert judged(step, facts) == expected


def test_a_length_that_the_file_does_not_declare_is_counted() -> None:
    policy = replace(WEB, limits={"short": {Severity.FAIL: 50.0}})

    def judged_as(basis: str, counted: float | None) -> list[tuple[str, float | None, str | None]]:
        results = [
            StepResult("probe", "done", 0.0, PROBE | {"duration": 40.0, "duration_basis": basis}),
            StepResult("integrity", "done", 0.0, INTEGRITY | {"decoded_seconds": counted}),
        ]
        return [(each.code, each.value, each.basis) for each in find(1000, policy, results)]

    assert judged_as("declared", 60.0) == [("FILE-SHORT", 40.0, "declared")]
    assert judged_as("estimated", 60.0) == []
    assert judged_as("estimated", 20.0) == [("FILE-SHORT", 20.0, "counted")]
    assert judged_as("estimated", None) == []


def test_a_black_stretch_is_not_told_as_frozen_too() -> None:
    facts = {"black": ranges((5, 7)), "freeze": ranges((5, 7), (10, 13))}
    found = [(f.code, f.start) for f in find(1000, WEB, [StepResult("visual", "done", 0.0, facts)])]
    assert found == [("VIS-BLACK", 5), ("VIS-FREEZE", 10)]


def test_another_policy_judges_otherwise() -> None:
    strict = replace(WEB, conditions={"no_audio": Severity.FAIL})
    mute = PROBE | {"streams": PROBE["streams"][:1]}
    assert judged("probe", mute) == [("AUDIO-MISSING", "warn")]
    assert judged("probe", mute, strict) == [("AUDIO-MISSING", "fail")]


def test_a_codec_that_is_not_known_is_a_failure() -> None:
    unknown = [PROBE["streams"][0] | {"codec": None}, PROBE["streams"][1]]
    assert judged("probe", PROBE | {"streams": unknown}) == [("CODEC-UNKNOWN", "fail")]


def test_a_step_without_a_result_is_a_failure() -> None:
    problem = {"kind": "timeout", "message": "it took too long"}
    (finding,) = find(1000, WEB, [StepResult("visual", "failed", 9.0, problem=problem)])
    assert (finding.code, finding.severity) == ("STEP-FAILED", Severity.FAIL)
    assert "it took too long" in finding.message


def report_of(*results: StepResult) -> dict[str, Any]:
    report = render_report(UPLOAD, "a", WEB, results)
    check_report(report)
    return report


def test_a_report_has_every_section_and_is_plain_json() -> None:
    report = report_of(
        StepResult("probe", "done", 0.1, PROBE, confined=["files"]),
        StepResult("integrity", "done", 0.2, INTEGRITY, confined=["files"]),
        StepResult("visual", "done", 0.3, VISUAL),
        StepResult("audio", "done", 0.1, AUDIO),
        StepResult("poster", "done", 0.1, {"stream": 0, "artefacts": [POSTER]}),
        StepResult("acme-watermark", "done", 0.1, {"seen": True, "artefacts": []}),
    )
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["schema"], report["verdict"], report["policy"]) == (SCHEMA, "warn", "web")
    assert report["source"] | {"digest": "?"} == {
        "filename": "holiday.mp4",
        "size": 1000,
        "content_type": "video/mp4",
        "digest": "?",
    }
    assert report["artefacts"] == [POSTER]
    assert report["other"] == {"acme-watermark": {"seen": True}}
    assert report["visual"]["scenes"] == VISUAL["scenes"]
    assert report["audio"]["loudness"] == AUDIO["loudness"]
    assert report["engine"]["confined"] == ["files"]
    assert set(report["engine"]["versions"]) == {"wherry", "av", "dbos"}


def test_a_custom_step_may_judge_itself() -> None:
    finding = {"code": "ACME-LOGO", "severity": "fail", "message": "The logo is old.", "start": 3}
    report = report_of(StepResult("acme-logo", "done", 0.1, {"seen": 2, "findings": [finding]}))
    assert (report["verdict"], codes(report)) == ("fail", ["ACME-LOGO"])
    assert report["other"] == {"acme-logo": {"seen": 2}}


@pytest.mark.parametrize(
    "finding",
    [
        {},
        {"code": "logo", "severity": "fail", "message": "?"},
        {"code": "ACME-LOGO", "severity": "bad", "message": "?"},
    ],
)
def test_a_custom_finding_that_makes_no_sense_fails_its_step(finding: dict[str, Any]) -> None:
    report = report_of(StepResult("acme-logo", "done", 0.1, {"findings": [finding]}))
    assert codes(report, "fail") == ["STEP-FAILED"]


def test_a_report_is_the_same_when_it_is_made_again() -> None:
    results = [StepResult("probe", "done", 0.1, PROBE), StepResult("black", "failed", 1.0)]
    assert report_of(*results) == report_of(*results)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


SOUND = {
    "probe": PROBE,
    "integrity": INTEGRITY,
    "visual": VISUAL,
    "audio": AUDIO,
    "silence": ranges((1, 5)),
    "poster": {"stream": 0, "artefacts": [POSTER]},
    "acme-logo": {"findings": [], "seen": 2},
}


@given(step=st.sampled_from(sorted(SOUND)), data=st.data())
def test_whatever_a_step_says_there_is_a_report_and_a_text(step: str, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(SOUND[step])), max_size=3))
    facts = {**SOUND[step], **{key: data.draw(plain) for key in keys}}
    other = StepResult("freeze", "done", 0.0, ranges((1, 5)))
    report = report_of(StepResult(step, "done", 0.0, facts), other)
    assert report["verdict"] in ("pass", "warn", "fail")
    assert render_report_text(report)


def test_a_section_that_makes_no_sense_is_left_out_and_told() -> None:
    report = report_of(StepResult("probe", "done", 0.0, PROBE | {"streams": "none"}))
    assert (report["probe"], codes(report)) == (None, ["STEP-FAILED"])


def test_the_text_names_what_was_found_with_its_seconds() -> None:
    text = render_report_text(
        report_of(
            StepResult("probe", "done", 0.1, PROBE),
            StepResult("integrity", "done", 0.2, INTEGRITY),
            StepResult("visual", "done", 0.3, VISUAL),
            StepResult("audio", "done", 0.3, AUDIO),
            StepResult("poster", "done", 0.1, {"stream": 0, "artefacts": [POSTER]}),
            StepResult("acme-logo", "done", 0.1, {"seen": 2}),
        )
    )
    lines = text.splitlines()
    assert lines[0] == "holiday.mp4  (1000 bytes)"
    assert any("WARN" in line for line in lines)
    assert any("VIS-BLACK" in line and "5.00 s to 7.00 s" in line for line in lines)
    assert any("VIS-BLACK" in line and "1:05.00 to 1:07.50" in line for line in lines)
    assert "picture    3 scene cuts, black 4.50 s" in lines
    assert "sound      -23.0 LUFS, range 5.0 LU, peak -1.0 dBTP" in lines
    assert "acme-logo  seen 2" in lines
    assert "pictures   poster.jpg" in lines
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
