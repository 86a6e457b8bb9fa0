"""From what was measured to what it means: pure functions, and plain words.

Rule 1: a finding says what is so, what that does to uploads, and what to do. What was not measured
makes no finding, or a note that it was not measured.

Rule 2: lines to change are shown only for what was measured to need a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wherry.core.limits import MiB
from wherry.doctor.measured import BROWSER, DOCTOR, Cors, Limit, Measured
from wherry.doctor.remedies import PROXIES, Remedy, remedies_for, with_host
from wherry.doctor.words import size

PROBLEM, NOTE, GOOD = "problem", "note", "good"

#: The largest chunk that a server can be set to offer. Limits above it cost an upload nothing.
LARGEST_CHUNK = 64 * MiB
#: The longest that a chunk may take (both clients). Timers below it end chunks of slow clients.
LONGEST_CHUNK = 25.0
#: Whoever watched for fewer seconds has not looked for timers: most end a request later.
LEAST_WATCHED = 10.0
#: The largest difference of clocks that does no harm, in seconds.
SKEW = 60.0
#: A certificate that ends within so many days is worth a word.
DAYS = 14


#: Where no login was possible, or the address is another one.
_ONLY_LIMIT = "Only the limit, and who refuses, could be measured."
#: The problems that lines of a proxy's configuration cure.
_OF_PROXIES = {"narrow", "timer-idle", "timer-whole", "timer-answer"}


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`verdict`: `wide`, `narrow`, `trouble`, `unknown` or `unreachable`."""

    verdict: str
    findings: tuple[Finding, ...]
    remedies: tuple[Remedy, ...]


def diagnose(measured: Measured) -> Diagnosis:
    findings = tuple(_findings(measured))
    return Diagnosis(_verdict(measured, findings), findings, _remedies(measured, findings))


def is_narrow(measured: Measured) -> bool:
    refuses = measured.limit.refuses
    return refuses is not None and refuses <= LARGEST_CHUNK


def already_passes(measured: Measured) -> str | None:
    """Of a path that is not narrow, as a sentence; None: too little is known."""
    if is_narrow(measured) or not is_shown(measured):
        return None
    return f"Bodies of {size(measured.limit.passes or 0)} already pass."


def is_shown(measured: Measured) -> bool:
    """Whether a body passed that is larger than the smallest limit in wide use."""
    return (measured.limit.passes or 0) > MiB


def _verdict(measured: Measured, findings: tuple[Finding, ...]) -> str:
    if measured.problem is not None:
        return "unreachable"
    if is_narrow(measured):
        return "narrow"
    if any(each.level == PROBLEM for each in findings):
        return "trouble"
    return "wide" if is_shown(measured) else "unknown"


def _remedies(measured: Measured, findings: tuple[Finding, ...]) -> tuple[Remedy, ...]:
    names = [proxy.name for proxy in measured.proxies]
    problems = {each.code for each in findings if each.level == PROBLEM}
    found = _for_problems(measured, names) if problems & _OF_PROXIES else ()
    return with_host(found, names) if any(f.code == "host-changed" for f in findings) else found


def _for_problems(measured: Measured, names: Sequence[str]) -> tuple[Remedy, ...]:
    refusal = measured.limit.refusal
    if refusal is not None and refusal.by is not None:
        found = remedies_for([refusal.by])
    else:
        found = remedies_for(names)
    if measured.is_authorised and "ingress-nginx" not in names:
        # Requests would have arrived with its headers.
        found = tuple(remedy for remedy in found if remedy.proxy != "ingress-nginx")
    return found


def _findings(measured: Measured) -> Iterator[Finding]:
    if measured.problem is not None:
        yield Finding(
            "unreachable", PROBLEM, f"{measured.url} cannot be reached: {measured.problem}."
        )
        return
    yield from _about_wherry(measured)
    yield from _about_size(measured)
    yield from _about_time(measured)
    yield from _about_content(measured)
    yield from _about_http(measured)


def _about_wherry(measured: Measured) -> Iterator[Finding]:
    if measured.is_authorised is False:
        code = "login-refused" if measured.has_login else "no-login"
        yield Finding(code, NOTE, f"{_about_login(measured)} {_ONLY_LIMIT}")
    elif not measured.is_wherry and not measured.is_authorised:
        yield Finding(
            "not-wherry",
            NOTE,
            f"No Wherry answered ({measured.status}), so only what a proxy refuses could be "
            "measured. The address ends where /chunked-upload begins, most often in /api.",
        )
    elif measured.is_authorised is None and measured.status in (404, 405):
        rest = "" if measured.url.endswith("/api") else f": try {measured.url}/api"
        yield Finding(
            "not-the-api",
            NOTE,
            f"Wherry answers, but {measured.url} is not the address of its API "
            f"({measured.status}). {_ONLY_LIMIT} The API may have another limit. Its address ends "
            f"where /chunked-upload begins{rest}.",
        )


def _about_login(measured: Measured) -> str:
    if measured.by == BROWSER:
        return "The server wants a login. Enter a key on this page, and start the check again."
    if measured.is_wherry and measured.status == 403:
        return (
            "Wherry does not allow this (403): a guest ticket is for uploads only, and a server "
            "without keys is for its own machine only. Give a user's key with --key."
        )
    if not measured.has_login:
        who = (
            "The server, or the application that it is part of,"
            if measured.is_wherry
            else f"The address answers {measured.status}: an application, or a proxy before it,"
        )
        return (
            f"{who} wants a login. Give a key with --key; a login by cookie cannot be given here."
        )
    if measured.is_wherry:
        return (
            f"The key was refused ({measured.status}): the server, or the application that it is "
            "part of, does not know it. Check it with `wherry keys list` on the server."
        )
    return (
        f"The key was refused ({measured.status}) by an application, or by a proxy in front of it. "
        "The doctor can only send it as `Authorization: Bearer KEY`, and no cookies."
    )


def _about_size(measured: Measured) -> Iterator[Finding]:
    limit, who = measured.limit, name_of(measured)
    if limit.refuses is None:
        yield _about_no_refusal(limit, measured)
        return
    at = (
        f"above {size(limit.passes)}"
        if limit.exact and limit.passes
        else f"of {size(limit.refuses)}"
    )
    how = _how_refused(measured)
    if is_narrow(measured):
        yield Finding(
            "narrow",
            PROBLEM,
            f"{who} refuses bodies {at}{how}. Ordinary uploads above it fail. Wherry's clients get "
            "through in smaller chunks; raising the limit makes them faster.",
        )
    else:
        yield Finding(
            "limit",
            NOTE,
            f"{who} refuses bodies {at}{how}. Chunks are smaller: Wherry's uploads do not notice; "
            "ordinary uploads do.",
        )


def _about_no_refusal(limit: Limit, measured: Measured) -> Finding:
    if not is_shown(measured):
        passed = f" A body of {size(limit.passes)} passed." if limit.passes else ""
        text = f"The largest body that passes was not found in this time.{passed}"
        return Finding("limit-unknown", NOTE, text)
    passed = f"A body of {size(limit.sent)} passed"
    if limit.tried > LARGEST_CHUNK:
        return Finding(
            "no-limit",
            GOOD,
            f"{passed}, and no announced size was refused: nothing on the path limits uploads.",
        )
    return Finding(
        "no-limit-seen",
        GOOD,
        f"{passed}. Larger ones were not tried: `wherry doctor` in a terminal finds limits above "
        "it.",
    )


def _how_refused(measured: Measured) -> str:
    refusal = measured.limit.refusal
    if refusal is None:
        return ""
    if refusal.kind == "reset":
        return " by ending the connection, without an answer"
    if refusal.kind == "timeout":
        return " by not answering"
    late = ", only after the body was sent" if refusal.early is False else ""
    return f" with {refusal.status}{late}"


def name_of(measured: Measured) -> str:
    """The proxy that refuses, at the beginning of a sentence."""
    refusal = measured.limit.refusal
    by = None if refusal is None else refusal.by
    if by == "wherry":
        return "The application itself"
    if by is not None:
        return PROXIES[by].title if by in PROXIES else by
    return "Something in front"


def _about_time(measured: Measured) -> Iterator[Finding]:
    if measured.buffers_request:
        yield Finding(
            "buffered",
            NOTE,
            "Bodies are collected before they are passed on. An upload takes the proxy's disk or "
            "memory as well, and its last bytes arrive late.",
        )
    if measured.buffers_answer:
        yield Finding(
            "answers-buffered",
            NOTE,
            "Answers are collected before they are passed on: news of an assessment come late.",
        )
    timers = measured.timers
    texts = (
        ("timer-idle", timers.idle, "a request of which no byte comes"),
        ("timer-whole", timers.whole, "a request whose body comes slowly"),
        ("timer-answer", timers.answer, "a request whose answer takes long"),
    )
    for code, seconds, what in texts:
        if seconds is not None:
            level = PROBLEM if seconds < LONGEST_CHUNK else NOTE
            yield Finding(
                code,
                level,
                f"After {seconds:.0f} s, something on the path ends {what}. Uploads over slow "
                "lines break off there.",
            )
    if any(seconds is not None for _, seconds, _ in texts):
        return
    if timers.watched >= LEAST_WATCHED:
        yield Finding("no-timer", GOOD, f"No timer was found up to {timers.watched:.0f} s.")
    elif measured.is_authorised and measured.by == DOCTOR:
        yield Finding(
            "timers-unknown",
            NOTE,
            "Timers were not measured: there was too little time. `--seconds 30` looks for them.",
        )


def _about_content(measured: Measured) -> Iterator[Finding]:
    refused = [name for name, passes in measured.methods.items() if passes is False]
    if refused:
        yield Finding(
            "methods",
            NOTE,
            f"These methods do not get through: {', '.join(refused)}. Wherry's clients use POST.",
        )
    types = [name for name, passes in measured.content_types.items() if passes is False]
    if types:
        level = PROBLEM if "application/octet-stream" in types else NOTE
        yield Finding(
            "content-types", level, f"Bodies of these types do not get through: {', '.join(types)}."
        )
    lost = [name for name, what in measured.headers.items() if what in ("missing", "changed")]
    if lost:
        level = PROBLEM if "content-digest" in lost else NOTE
        yield Finding(
            "headers",
            level,
            f"These headers of requests are removed or changed: {', '.join(lost)}.",
        )
    if measured.chunked is False:
        yield Finding(
            "no-chunked",
            NOTE,
            "Bodies without a Content-Length do not get through. Wherry's clients announce it.",
        )
    if measured.trailers is False:
        yield Finding(
            "no-trailers",
            NOTE,
            "Header lines after a body (trailers) do not get through. Wherry's clients send none.",
        )
    if measured.host_arrived and measured.host_arrived != measured.host_sent:
        yield Finding(
            "host-changed",
            NOTE,
            f"Requests for {measured.host_sent} arrive for {measured.host_arrived}: the proxy does "
            "not pass the header Host on. Uploads work, but Wherry learns limits by host, and "
            "takes all hosts behind this proxy for one. Let the proxy pass it on.",
        )
    final = [status for status, what in measured.interim.items() if what == "final"]
    if final:
        yield Finding(
            "interim-final",
            NOTE,
            f"Interim answers ({', '.join(final)}) are taken for the final one, or nothing follows "
            "them. Wherry sends a 104 only to clients of the IETF protocol (iOS, for example), and "
            "only if no proxy has marked the request. If this proxy adds neither Via nor "
            "X-Forwarded-For, their uploads fail: set interim_responses to never.",
        )
    if measured.proxies and measured.interim.get("104") == "passed":
        yield Finding(
            "interim-passed",
            NOTE,
            "A 104 gets through. With interim_responses set to always, clients of the IETF "
            "protocol (iOS, for example) resume their uploads through this proxy.",
        )


def _cors_on_refusal(cors: Cors, measured: Measured) -> str:
    after = "to the browser, the connection has failed. Wherry's client takes that into account."
    if f"{measured.url}/".startswith(f"{cors.origin}/"):
        # A page of the same origin may read everything.
        return (
            "The proxy's refusal has no CORS headers. A page of another address cannot read it, "
            f"unless the proxy adds them for that address: {after}"
        )
    return (
        f"A page of {cors.origin} cannot read the proxy's refusal, because it has no CORS headers: "
        f"{after}"
    )


def _about_http(measured: Measured) -> Iterator[Finding]:
    cors = measured.cors
    if cors.on_answer is False:
        yield Finding(
            "cors",
            PROBLEM,
            f"A page of {cors.origin} may not read Wherry's answers: the application needs CORS.",
        )
    if cors.on_refusal is False:
        yield Finding("cors-on-refusal", NOTE, _cors_on_refusal(cors, measured))
    refusal = measured.limit.refusal
    if measured.http2 and measured.limit_over_2 is None and refusal is not None and refusal.early:
        yield Finding("http2-differs", NOTE, "Over HTTP/2, the same body was not refused at once.")
    tls = measured.tls
    if tls.days_left is not None and tls.days_left < DAYS:
        yield Finding("certificate", PROBLEM, f"The certificate ends in {tls.days_left} days.")
    if measured.skew is not None and abs(measured.skew) > SKEW:
        yield Finding(
            "clock",
            PROBLEM,
            f"The clocks of the server and of this machine differ by {abs(measured.skew):.0f} s.",
        )
