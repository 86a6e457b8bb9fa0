"""The `assessment.v1` document: the facts of the steps, findings, and a verdict.

Rule 1: the report is a pure function of the steps' results. The same results always give the
same report.

Rule 2: a step without a result is a finding. A report always states what was not assessed.

Rule 3: the report has the shape of `schema.Report`, whatever the steps returned.

    schema · assessment_id · upload_id · created_at
    source      what was uploaded
    probe · integrity · visual · audio · other      what each step found, or null
    artefacts   pictures, served beside the report
    findings    code, severity, start, end, message, value, threshold
    verdict     pass | warn | fail | not-assessed, and the policy's name
    engine      versions, and the seconds of each step
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError

from wherry.assessment.findings import (
    find_in_audio,
    find_in_integrity,
    find_in_probe,
    find_in_visual,
    find_length,
    find_no_media,
)
from wherry.assessment.kinds import is_called_media
from wherry.assessment.policy import Policy, Severity
from wherry.assessment.progress import StepResult
from wherry.assessment.schema import (
    Artefact,
    Audio,
    EngineFacts,
    Finding,
    Integrity,
    Probe,
    Report,
    Source,
    StepFacts,
    Visual,
)
from wherry.assessment.steps import is_own
from wherry.core.upload import Upload

_ARTEFACTS = TypeAdapter(list[Artefact])
_FINDINGS = TypeAdapter(list[Finding])
_OTHER = TypeAdapter(dict[str, JsonValue], config=ConfigDict(allow_inf_nan=False))


@dataclass(slots=True)
class Found:
    """The results of the steps, as far as they are valid."""

    probe: Probe | None = None
    integrity: Integrity | None = None
    visual: Visual = field(default_factory=Visual)
    audio: Audio = field(default_factory=Audio)
    other: dict[str, dict[str, Any]] = field(default_factory=dict)
    artefacts: list[Artefact] = field(default_factory=list)
    #: What custom steps judge themselves.
    findings: list[Finding] = field(default_factory=list)
    #: Steps that could not read the file, with the reason, and steps with an invalid result.
    unreadable: dict[str, str] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)
    #: The file is neither video nor sound, and neither its name nor its type calls it one.
    not_media: bool = False


def parse_results(results: Sequence[StepResult], *, called_media: bool = True) -> Found:
    """The results of the steps, parsed; never raises, whatever JSON they contain.

    `called_media`: the name or the type of the file calls it a video or sound.
    """
    found = Found()
    if not called_media and any(_is_no_media(result) for result in results):
        found.not_media = True
        return found
    for result in results:
        if result.facts is None:
            continue
        try:
            if "unreadable" in result.facts:
                found.unreadable[result.name] = str(result.facts["unreadable"])[:500]
            else:
                _take(found, result.name, result.facts)
        except (ValidationError, RecursionError):
            # A decoder that an attacker controls may return anything.
            found.invalid.append(result.name)
    return found


def _is_no_media(result: StepResult) -> bool:
    """Whether the probe knows it as something else, or has only guessed that it is media."""
    if result.name != "probe" or result.facts is None:
        return False
    return result.facts.get("is_media") is False or result.facts.get("guessed") is True


def _take(found: Found, step: str, facts: Mapping[str, Any]) -> None:
    artefacts = _ARTEFACTS.validate_python(facts.get("artefacts", []))
    if step == "probe":
        found.probe = Probe.model_validate(facts)
    elif step == "integrity":
        found.integrity = Integrity.model_validate(facts)
    elif step == "visual":
        found.visual = Visual.model_validate(facts)
    elif step == "audio":
        found.audio = Audio.model_validate(facts)
    elif not is_own(step):
        findings = _FINDINGS.validate_python(facts.get("findings", []))
        other = _OTHER.validate_python(
            {k: v for k, v in facts.items() if k not in ("artefacts", "findings")}
        )
        found.findings += findings
        found.other[step] = other
    found.artefacts += artefacts


def render_report(
    upload: Upload,
    assessment_id: str,
    policy: Policy,
    results: Sequence[StepResult],
) -> dict[str, Any]:
    """The finished document."""
    called = is_called_media(upload.filename, upload.content_type)
    found = parse_results(results, called_media=called)
    findings = sorted(
        find(upload.length or 0, policy, results, found), key=lambda f: (f.start or 0.0, f.code)
    )
    report = Report(
        schema="assessment.v1",
        assessment_id=assessment_id,
        upload_id=upload.id,
        created_at=upload.created_at,
        source=Source(
            filename=upload.filename,
            size=upload.length,
            content_type=upload.content_type,
            digest=str(upload.received_digest),
        ),
        probe=_with_counted_length(found),
        integrity=found.integrity,
        visual=found.visual,
        audio=found.audio,
        other=found.other,
        artefacts=found.artefacts,
        findings=findings,
        policy=policy.name,
        verdict=verdict(findings, not_media=found.not_media),
        engine=EngineFacts(
            versions=versions(),
            steps=[_step(result) for result in results],
            confined=sorted({name for result in results for name in result.confined}),
        ),
    )
    return report.model_dump(mode="json", by_alias=True)


def versions() -> dict[str, str]:
    """The versions of what a report depends on."""
    return {name: version(name) for name in ("wherry", "av", "dbos")}


def _step(result: StepResult) -> StepFacts:
    problem = None if result.problem is None else dict(result.problem)
    return StepFacts.model_validate(
        {"name": result.name, "state": result.state, "seconds": result.seconds, "problem": problem}
    )


def _with_counted_length(found: Found) -> Probe | None:
    """What the file says of itself; where it does not say how long it is, what was counted."""
    probe, counted = found.probe, found.integrity and found.integrity.decoded_seconds
    if probe is None or probe.duration_basis == "declared" or not counted:
        return probe
    if found.integrity is None or found.integrity.missing_bytes is None:
        return probe
    return probe.model_copy(update={"duration": counted, "duration_basis": "counted"})


Verdict: TypeAlias = Literal["pass", "warn", "fail", "not-assessed"]


def verdict(findings: Sequence[Finding], *, not_media: bool = False) -> Verdict:
    """The worst severity of all findings; `info` does not count."""
    severities = {finding.severity for finding in findings}
    if Severity.FAIL in severities:
        return "fail"
    if Severity.WARN in severities:
        return "warn"
    return "not-assessed" if not_media else "pass"


def find(
    length: int, policy: Policy, results: Sequence[StepResult], found: Found | None = None
) -> Iterator[Finding]:
    """All findings about a file of `length` bytes."""
    found = found or parse_results(results)
    if found.not_media:
        yield from find_no_media(policy)
        return
    if length == 0:
        yield _fail("FILE-EMPTY", "The file is empty.")
    elif "probe" in found.unreadable:
        yield _fail("FILE-UNREADABLE", f"The file cannot be read: {found.unreadable['probe']}.")
    for result in results:
        if result.state == "failed":
            reason = (result.problem or {}).get("message", "for no known reason")
            yield _fail("STEP-FAILED", f"The step {result.name} failed: {reason}.")
        elif result.name in found.invalid:
            yield _fail("STEP-FAILED", f"The result of the step {result.name} is not valid.")
        elif result.name in found.unreadable and result.name != "probe":
            reason = found.unreadable[result.name]
            message = f"The step {result.name} could not read the file: {reason}."
            yield _fail("FILE-UNREADABLE", message)
    if found.probe is not None:
        yield from find_in_probe(found.probe, policy)
        yield from find_length(found.probe, found.integrity, policy)
    if found.integrity is not None:
        yield from find_in_integrity(found.integrity, policy)
    yield from find_in_visual(found.visual, policy, found.integrity)
    yield from find_in_audio(found.audio, policy)
    yield from found.findings


def _fail(code: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.FAIL, message=message, basis="counted")
