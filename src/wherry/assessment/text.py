"""A report as lines of text for a terminal.

Rule 1: no text from a file reaches the terminal as a control character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

MARKS = {"info": "  ", "warn": "! ", "fail": "✗ "}
VERDICTS = {
    "pass": "PASS",
    "warn": "WARN: needs review",
    "fail": "FAIL",
    "not-assessed": "NOT ASSESSED: not a video",
}


def render_report_text(report: Mapping[str, Any]) -> str:
    """The whole report of an assessment, ending in a newline."""
    return "\n".join(_printable(line) for line in _lines(report)) + "\n"


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in line)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    source = report["source"]
    yield f"{source['filename']}  ({_bytes(source['size'])})"
    yield f"verdict    {VERDICTS[report['verdict']]}  (policy {report['policy']})"
    yield from _section(_probe, report["probe"])
    yield from _section(_integrity, report["integrity"])
    yield from _section(_visual, report["visual"])
    yield from _section(_audio, report["audio"])
    for name, facts in report["other"].items():
        yield f"{name:<10} {_facts_line(facts)}"
    yield ""
    yield from _findings(report["findings"])
    yield ""
    if report["artefacts"]:
        yield f"pictures   {', '.join(artefact['name'] for artefact in report['artefacts'])}"
    steps = report["engine"]["steps"]
    taken = ", ".join(f"{step['name']} {_step_time(step)}" for step in steps)
    yield f"steps      {taken}"


def _section(
    render: Callable[[Mapping[str, Any]], Iterator[str]], facts: Mapping[str, Any] | None
) -> Iterator[str]:
    """The lines of one step's facts. A hostile file may have influenced their shape."""
    try:
        yield from list(render(facts or {}))
    except (KeyError, TypeError, ValueError, AttributeError):
        yield "(the facts of this step cannot be shown)"


def _facts_line(facts: Mapping[str, Any]) -> str:
    """The facts of a custom step, cut to one line."""
    plain = {k: v for k, v in facts.items() if isinstance(v, (str, int, float, bool))}
    return ", ".join(f"{key} {value}" for key, value in plain.items())[:100] or "done"


def _step_time(step: Mapping[str, Any]) -> str:
    if step["state"] != "done":
        return str(step["state"])
    return f"{step['seconds']:.1f} s"


def _probe(probe: Mapping[str, Any]) -> Iterator[str]:
    if "streams" not in probe:
        return
    length = "unknown length" if probe["duration"] is None else _time(probe["duration"])
    if probe.get("duration_basis"):
        length += f" ({probe['duration_basis']})"
    yield f"container  {probe['container']}, {length}"
    for stream in probe["streams"]:
        yield f"{stream['type']:<10} {', '.join(_stream(stream))}"


def _stream(stream: Mapping[str, Any]) -> Iterator[str]:
    yield str(stream["codec"] or "unknown codec")
    if stream.get("width"):
        yield f"{stream['width']} × {stream['height']}"
    if stream.get("frame_rate"):
        yield f"{stream['frame_rate']:g} frames/s"
    if stream.get("sample_rate"):
        yield f"{stream['sample_rate']} Hz, {stream['layout']}"
    if stream.get("hdr"):
        yield str(stream["hdr"])


def _integrity(found: Mapping[str, Any]) -> Iterator[str]:
    if "streams" not in found:
        return
    frames = sum(stream["frames"] for stream in found["streams"])
    broken = found["errors"] + found["damaged"]
    missing = f", {found['missing']} frames missing" if found["missing"] else ""
    yield f"decoded    {frames} frames, {broken} errors{missing}"


def _visual(found: Mapping[str, Any]) -> Iterator[str]:
    parts = []
    if found["scenes"]:
        cuts = found["scenes"]["count"]
        parts.append(f"{cuts} scene cut{'' if cuts == 1 else 's'}")
    for name, word in (("black", "black"), ("freeze", "still"), ("blur", "blurred")):
        if found[name] and found[name]["count"]:
            parts.append(f"{word} {found[name]['seconds']:.2f} s")
    if parts:
        yield f"picture    {', '.join(parts)}"


def _audio(found: Mapping[str, Any]) -> Iterator[str]:
    parts = []
    loudness = found["loudness"] or {}
    units = (("integrated", "", "LUFS"), ("range", "range ", "LU"), ("true_peak", "peak ", "dBTP"))
    for name, word, unit in units:
        if loudness.get(name) is not None:
            parts.append(f"{word}{loudness[name]:.1f} {unit}")
    for name, word in (("silence", "silent"), ("clipping", "clipped")):
        if found[name] and found[name]["count"]:
            parts.append(f"{word} {found[name]['seconds']:.2f} s")
    if parts:
        yield f"sound      {', '.join(parts)}"


def _findings(findings: list[Mapping[str, Any]]) -> Iterator[str]:
    if not findings:
        yield "No findings."
        return
    yield "findings"
    for finding in findings:
        where = ""
        if finding["start"] is not None:
            where = _time(finding["start"])
            if finding["end"] is not None:
                where += f" to {_time(finding['end'])}"
        mark = MARKS[finding["severity"]]
        yield f"  {mark}{finding['code']:<16} {where:<20} {finding['message']}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 2), 60)
    if minutes == 0:
        return f"{rest:.2f} s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:05.2f}" if hours else f"{minutes}:{rest:05.2f}"


def _bytes(count: int | None) -> str:
    value, unit = float(count or 0), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
