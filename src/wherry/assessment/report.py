"""The `assessment.v1` document: facts, findings, and a verdict against a policy.

Rule 1: the report is a pure function of what the steps said. Made twice from
the same results it is the same.

Rule 2: a step without a result is a finding. A report is never silent about
what could not be looked at.

    schema · assessment_id · upload_id · created_at
    source      what was uploaded
    probe · integrity · visual · audio · other      what each step found, or null
    artefacts   pictures, served beside the report
    findings    code, severity, start, end, message, value, threshold
    verdict     pass | warn | fail, and the policy's name
    engine      versions, and the seconds of each step
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from wherry.assessment.policy import Policy, Severity
from wherry.assessment.progress import StepResult
from wherry.core.upload import Upload

SCHEMA = "assessment.v1"

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know. `start` and `end` in seconds, None for the whole file."""

    code: str
    severity: Severity
    message: str
    start: float | None = None
    end: float | None = None
    value: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        for number in (self.start, self.end, self.value, self.threshold):
            if number is not None and not isinstance(number, (int, float)):
                raise TypeError(number)

    def render(self) -> dict[str, Any]:
        return {**asdict(self), "severity": self.severity.value}


def versions() -> dict[str, str]:
    """The versions of what a report depends on."""
    return {name: version(name) for name in ("wherry", "av", "dbos")}


def render_report(
    upload: Upload,
    assessment_id: str,
    policy: Policy,
    results: Sequence[StepResult],
) -> dict[str, Any]:
    """The finished document."""
    facts = {result.name: result.facts for result in results if result.facts is not None}
    findings = sorted(
        find(upload.length or 0, policy, results), key=lambda f: (f.start or 0.0, f.code)
    )
    return {
        "schema": SCHEMA,
        "assessment_id": assessment_id,
        "upload_id": upload.id,
        "created_at": upload.created_at,
        "source": {
            "filename": upload.filename,
            "size": upload.length,
            "content_type": upload.content_type,
            "digest": str(upload.digest_now),
        },
        "probe": facts.get("probe"),
        "integrity": facts.get("integrity"),
        "visual": {"black": facts.get("black"), "freeze": facts.get("freeze")},
        "audio": {"silence": facts.get("silence")},
        "other": {name: facts[name] for name in facts if name not in SHOWN},
        "artefacts": [a for result in facts.values() for a in result.get("artefacts", ())],
        "findings": [finding.render() for finding in findings],
        "policy": policy.name,
        "verdict": verdict(findings),
        "engine": {
            "versions": versions(),
            "steps": [
                {"name": r.name, "state": r.state, "seconds": r.seconds, "problem": r.problem}
                for r in results
            ],
            "confined": sorted({name for result in results for name in result.confined}),
        },
    }


SHOWN = frozenset({"probe", "integrity", "black", "freeze", "silence", "poster"})


def verdict(findings: Sequence[Finding]) -> str:
    """The worst of all findings, as `pass`, `warn` or `fail`."""
    severities = {finding.severity for finding in findings}
    if Severity.FAIL in severities:
        return "fail"
    return "warn" if Severity.WARN in severities else "pass"


def find(length: int, policy: Policy, results: Sequence[StepResult]) -> Iterator[Finding]:
    """Everything worth telling about a file of `length` bytes."""
    facts = {result.name: result.facts for result in results if result.facts is not None}
    reason = facts.get("probe", {}).get("unreadable")
    if length == 0:
        yield Finding("FILE-EMPTY", Severity.FAIL, "The file is empty.", value=0)
    elif reason is not None:
        yield Finding("FILE-UNREADABLE", Severity.FAIL, f"The file cannot be read: {reason}.")
    for result in results:
        if result.state == "failed":
            yield _step_failed(result)
        elif result.name in facts and result.name in FINDERS and reason is None:
            yield from _judge(result.name, policy, facts)


def _judge(name: str, policy: Policy, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    unreadable = facts[name].get("unreadable")
    if unreadable is not None:
        message = f"The step {name} could not read the file: {unreadable}."
        yield Finding("FILE-UNREADABLE", Severity.FAIL, message)
        return
    try:
        yield from FINDERS[name](facts[name], policy, facts)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        # A decoder that was taken over may say anything, in any shape.
        message = f"What the step {name} said makes no sense."
        yield Finding("STEP-FAILED", Severity.FAIL, message)


def _step_failed(result: StepResult) -> Finding:
    reason = (result.problem or {}).get("message", "for no known reason")
    return Finding("STEP-FAILED", Severity.FAIL, f"The step {result.name} failed: {reason}.")


def _in_probe(probe: Facts, policy: Policy, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    kinds = {s["type"] for s in probe["streams"] if not s.get("cover")}
    if "video" not in kinds:
        yield Finding("VIDEO-MISSING", policy.no_video, "The file has no video.")
    if "audio" not in kinds:
        yield Finding("AUDIO-MISSING", policy.no_audio, "The file has no sound.")
    for stream in probe["streams"]:
        if stream["codec"] is None and stream["type"] in ("video", "audio"):
            message = f"Stream {stream['index']} is coded in a way that Wherry does not know."
            yield Finding("CODEC-UNKNOWN", Severity.FAIL, message)


def _in_integrity(found: Facts, policy: Policy, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    count = int(found["errors"]) + int(found["damaged"])
    if count > policy.errors_fail:
        times = [e["time"] for s in found["streams"] for e in s["first_errors"]]
        first = min((t for t in times if t is not None), default=None)
        where = "" if first is None else f", the first at {first:.2f} s"
        yield Finding(
            "INT-ERRORS",
            Severity.FAIL,
            f"{count} packets or frames are damaged{where}.",
            start=first,
            value=count,
            threshold=policy.errors_fail,
        )
    yield from _missing_frames(found, policy)
    lost = float(found["missing_seconds"])
    if lost > policy.missing_end_fail:
        yield Finding(
            "INT-TRUNCATED",
            Severity.FAIL,
            f"The file ends {lost:.2f} s before the end that it declares.",
            start=found["decoded_seconds"],
            end=found["declared_seconds"],
            value=lost,
            threshold=policy.missing_end_fail,
        )
    yield from _gaps(found, policy)
    if found["unannounced"]:
        yield Finding(
            "INT-UNANNOUNCED",
            Severity.WARN,
            "The file has packets of streams that it does not announce.",
            value=found["unannounced"],
        )
    apart = found["video_longer_by"]
    if apart is not None and abs(apart) > policy.uneven_warn:
        longer, shorter = ("video", "sound") if apart > 0 else ("sound", "video")
        yield Finding(
            "AV-UNEVEN",
            Severity.WARN,
            f"The {longer} is {abs(apart):.2f} s longer than the {shorter}.",
            value=abs(apart),
            threshold=policy.uneven_warn,
        )


def _missing_frames(found: Facts, policy: Policy) -> Iterator[Finding]:
    missing, expected = int(found["missing"]), int(found["expected"])
    share = missing / expected if expected else 0.0
    if missing <= policy.missing_frames_warn:
        return
    fail = share > policy.missing_frames_fail
    yield Finding(
        "INT-FRAMES-MISSING",
        Severity.FAIL if fail else Severity.WARN,
        f"{missing} of {expected} frames are missing.",
        value=missing,
        threshold=policy.missing_frames_warn,
    )


def _gaps(found: Facts, policy: Policy) -> Iterator[Finding]:
    """A camera or a screen may pause, and so may a microphone; not both at the same moment."""
    places = {s["index"]: s["gaps"] for s in found["streams"]}
    for stream in found["streams"]:
        others = [gap for index in places if index != stream["index"] for gap in places[index]]
        for start, end in stream["gaps"]:
            length = round(end - start, 3)
            lost = any(start < there and here < end for here, there in others)
            if not lost and length <= policy.gap_warn:
                continue
            yield Finding(
                "INT-GAP",
                Severity.FAIL if lost else Severity.WARN,
                f"Nothing comes for {length:.2f} s in the {stream['type']}.",
                start=start,
                end=end,
                value=length,
                threshold=0 if lost else policy.gap_warn,
            )


def _in_black(found: Facts, policy: Policy, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    if found["share"] > policy.black_share_fail:
        yield _whole("VIS-BLACK", "black", found, policy.black_share_fail)
        return
    yield from _stretches("VIS-BLACK", "The picture is black", found["ranges"], policy.black_warn)


def _in_freeze(found: Facts, policy: Policy, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    if found["share"] > policy.freeze_share_fail:
        yield _whole("VIS-FREEZE", "frozen", found, policy.freeze_share_fail)
        return
    # What is black stands still, too; told once is enough.
    black = facts.get("black", {}).get("ranges", [])
    ranges = [r for r in found["ranges"] if not any(_covers(b, r) for b in black)]
    yield from _stretches("VIS-FREEZE", "The picture stands still", ranges, policy.freeze_warn)


def _in_silence(found: Facts, policy: Policy, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    ranges, threshold = found["ranges"], policy.silence_warn
    yield from _stretches("AUD-SILENCE", "Nothing can be heard", ranges, threshold)


def _covers(outer: Sequence[float], inner: Sequence[float]) -> bool:
    return outer[0] - 0.1 <= inner[0] and inner[1] <= outer[1] + 0.1


def _whole(code: str, what: str, found: Facts, threshold: float) -> Finding:
    share = float(found["share"])
    message = f"{share:.0%} of the video is {what}."
    return Finding(code, Severity.FAIL, message, value=share, threshold=threshold)


def _stretches(
    code: str, what: str, ranges: Sequence[Sequence[float]], threshold: float
) -> Iterator[Finding]:
    for start, end in ranges:
        length = round(end - start, 3)
        if length >= threshold:
            message = f"{what} for {length:.2f} s."
            yield Finding(code, Severity.WARN, message, start, end, length, threshold)


Finder = Callable[[Facts, Policy, Mapping[str, Facts]], Iterator[Finding]]

#: What is judged of each step's facts; a new step has a line here if it can find something.
FINDERS: Mapping[str, Finder] = {
    "probe": _in_probe,
    "integrity": _in_integrity,
    "black": _in_black,
    "freeze": _in_freeze,
    "silence": _in_silence,
}
