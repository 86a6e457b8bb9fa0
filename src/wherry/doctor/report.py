"""How an examination is shown: as JSON with stable keys, as text, as a letter to the operator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from wherry.doctor.diagnosis import (
    GOOD,
    PROBLEM,
    Diagnosis,
    already_passes,
    is_narrow,
    name_of,
)
from wherry.doctor.measured import BROWSER, Measured
from wherry.doctor.pages import render_remedy
from wherry.doctor.remedies import PROXIES, Remedy
from wherry.doctor.words import size

#: Grows when a key changes its meaning or goes. New keys may come.
SCHEMA = 1

_MARKS = {PROBLEM: "✗", GOOD: "✓"}


def render_json(measured: Measured, diagnosis: Diagnosis) -> str:
    return json.dumps(as_object(measured, diagnosis), indent=2)


def as_object(measured: Measured, diagnosis: Diagnosis) -> dict[str, Any]:
    front = _front(measured)
    return {
        "schema": SCHEMA,
        "url": measured.url,
        "at": measured.at,
        "version": measured.version,
        "by": measured.by,
        "verdict": diagnosis.verdict,
        "wherry": {"found": measured.is_wherry, "authorised": measured.is_authorised},
        "limit": asdict(measured.limit),
        "front": front,
        "proxies": [
            {"proxy": each.name, "version": each.version, "evidence": list(each.evidence)}
            for each in measured.proxies
        ],
        "buffers": {"request": measured.buffers_request, "answer": measured.buffers_answer},
        "timers": asdict(measured.timers),
        "methods": dict(measured.methods),
        "content_types": dict(measured.content_types),
        "headers": dict(measured.headers),
        "chunked": measured.chunked,
        "trailers": measured.trailers,
        "interim": dict(measured.interim),
        "cors": asdict(measured.cors),
        "http": {
            "protocol": measured.protocol,
            "1.1": measured.problem is None if measured.protocol == "http/1.1" else None,
            "2": measured.http2,
            "limit_over_2": measured.limit_over_2,
        },
        "tls": asdict(measured.tls),
        "clock": {"skew": measured.skew},
        "findings": [asdict(each) for each in diagnosis.findings],
        "remedies": [asdict(each) for each in diagnosis.remedies],
        "spent": asdict(measured.spent),
    }


def _front(measured: Measured) -> dict[str, Any]:
    """The proxy that refuses, or else the outermost one."""
    refusal = measured.limit.refusal
    by = None if refusal is None else refusal.by
    for proxy in measured.proxies:
        if by is None or proxy.name == by:
            return {
                "proxy": proxy.name,
                "version": proxy.version,
                "evidence": list(proxy.evidence),
            }
    return {"proxy": by, "version": None, "evidence": []}


def render_text(measured: Measured, diagnosis: Diagnosis) -> str:
    """For a terminal."""
    return "\n".join(_lines(measured, diagnosis)) + "\n"


def _lines(measured: Measured, diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{measured.url}: {diagnosis.verdict}"
    yield ""
    for finding in diagnosis.findings:
        yield f"{_MARKS.get(finding.level, '·')} {finding.text}"
    if measured.proxies:
        yield ""
        yield "On the path:"
        for proxy in measured.proxies:
            name = " ".join(filter(None, (proxy.name, proxy.version)))
            yield f"  {name} ({'; '.join(proxy.evidence)})"
    if changes := list(_changes(measured, diagnosis, "##")):
        yield ""
        yield "What to change:"
        yield ""
        yield from changes
    yield ""
    spent = measured.spent
    yield (
        f"Sent {size(spent.bytes)} in {spent.requests} requests, in {spent.seconds:.0f} s. "
        "Nothing was stored."
    )


def _changes(measured: Measured, diagnosis: Diagnosis, heading: str) -> Iterator[str]:
    """What to change, or that nothing has to be; nothing at all if neither is known."""
    passes = already_passes(measured)
    if not diagnosis.remedies:
        if _is_fine(diagnosis):
            yield f"Nothing, for Wherry's uploads. {passes}"
        return
    yield from _about_lines(measured, diagnosis.remedies)
    has_told_of_kubernetes = _is_in_kubernetes(diagnosis.remedies[0])
    for number, remedy in enumerate(diagnosis.remedies):
        if not has_told_of_kubernetes and _is_in_kubernetes(remedy):
            has_told_of_kubernetes = True
            yield ""
            yield _about_kubernetes(measured, diagnosis.remedies)
        if number:
            yield ""
        yield from render_remedy(remedy, heading).splitlines()


def _is_fine(diagnosis: Diagnosis) -> bool:
    """Whether it is known that nothing has to be changed on the way to the API."""
    is_elsewhere = any(f.code in ("not-the-api", "not-wherry") for f in diagnosis.findings)
    return diagnosis.verdict == "wide" and not diagnosis.remedies and not is_elsewhere


def _about_lines(measured: Measured, remedies: Sequence[Remedy]) -> Iterator[str]:
    """Which of the lines are needed for what was measured."""
    code = "".join(snippet.code for remedy in remedies for snippet in remedy.snippets)
    told = []
    if is_narrow(measured) and code:
        told.append(
            "The limit of the size alone ends these refusals. The numbers let a file of 600 MB "
            "pass in one request; for Wherry's clients alone, 64 MB are enough."
        )
    elif passes := already_passes(measured):
        told.append(f"{passes} The limit of the size need not be changed.")
    if "¹" in code:
        told.append("Lines marked ¹ are about time and buffering.")
    yield from told
    if told:
        yield ""


def _is_in_kubernetes(remedy: Remedy) -> bool:
    return remedy.proxy in PROXIES and PROXIES[remedy.proxy].is_in_kubernetes


def _about_kubernetes(measured: Measured, remedies: Sequence[Remedy]) -> str:
    told = "**Only if it runs in Kubernetes**, take the lines for your controller instead."
    names = {remedy.proxy for remedy in remedies}
    if "ingress-nginx" in names:
        return f"{told} With a key, the doctor finds out whether that is ingress-nginx."
    if "nginx" in names and measured.is_authorised:
        return f"{told} It is not ingress-nginx: requests arrive without the headers it adds."
    return told


def render_letter(measured: Measured, diagnosis: Diagnosis) -> str:
    """INGRESS_FIX_REQUIRED.md: to the people who run the ingress, from what was measured."""
    return "\n".join(_letter(measured, diagnosis)) + "\n"


def _escaped(text: str) -> str:
    """What a proxy has sent, as Markdown that shows it letter by letter."""
    return re.sub(r"([\\`*_\[\]<>&#|!~])", r"\\\1", text)


def _title(measured: Measured, diagnosis: Diagnosis) -> str:
    limit = measured.limit
    if is_narrow(measured) and limit.refuses is not None:
        above = limit.passes if limit.exact and limit.passes else limit.refuses
        return f"Ingress fix required: request bodies above {size(above)} are refused"
    if _is_fine(diagnosis):
        return "No ingress fix required: what was measured"
    if diagnosis.remedies or diagnosis.verdict == "trouble":
        return "Ingress fix required: what was measured"
    return "Ingress: what was measured"


def _letter(measured: Measured, diagnosis: Diagnosis) -> Iterator[str]:
    limit = measured.limit
    yield f"# {_title(measured, diagnosis)}"
    yield ""
    yield f"To: the people who run the ingress of `{measured.url}`."
    if measured.by == BROWSER:
        yield f"Measured at {measured.at} by a browser, on the page of Wherry {measured.version}."
    else:
        yield f"Measured at {measured.at} by `wherry doctor` {measured.version}."
    yield ""
    yield "## What was measured"
    yield ""
    for finding in diagnosis.findings:
        yield f"- {finding.text}"
    for proxy in measured.proxies:
        name = " ".join(filter(None, (proxy.name, proxy.version)))
        evidence = "; ".join(proxy.evidence)
        yield f"- On the path: {_escaped(f'{name} ({evidence})')}."
    if is_narrow(measured):
        yield ""
        yield f"{name_of(measured)} refuses this request, and should let it pass:"
        yield ""
        yield "```sh"
        yield f"truncate -s {limit.refuses} test.bin"
        yield f"curl -s -i -X POST -T test.bin {measured.url}/chunked-upload/probe | head -12"
        yield "```"
    if changes := list(_changes(measured, diagnosis, "###")):
        yield ""
        yield "## What to change"
        yield ""
        yield from changes
    if is_narrow(measured):
        yield ""
        yield "## If that cannot be"
        yield ""
        yield (
            "Any limit above 64 KiB will do: Wherry sends files in many small requests. Tell us "
            "the number, so that no request is refused."
        )
    yield ""
    yield "## Check the change"
    yield ""
    yield "```sh"
    yield f"wherry doctor {measured.url}"
    yield "```"
