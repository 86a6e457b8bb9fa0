"""An examination by a browser, whose path is a function here."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from wherry.doctor.diagnosis import diagnose
from wherry.doctor.measured import Measured
from wherry.doctor.reply import End, Reply
from wherry.doctor.report import render_letter
from wherry.doctor.visit import Made, NotWanted, Visit, Wanted, follow

KiB, MiB = 1 << 10, 1 << 20
URL = "https://example.org/api"
#: A path: from a request to what comes of it. Its times are seconds since the request began.
Path = Callable[[Wanted], Reply]


def probed(wanted: Wanted, took: float = 0.01, arrival: float = 0.0, **headers: str) -> Reply:
    body = {
        "bytes": wanted.size,
        "first_byte": 0.0,
        "last_byte": arrival,
        "host": "example.org",
        "headers": {"host": None},
    }
    over_at = took + 1.0 if wanted.drip else took
    content = json.dumps(body).encode()
    return Reply(End.ANSWER, 200, headers, content, is_early=None, at=took, over_at=over_at)


def refused(status: int, page: bytes = b"", **headers: str) -> Reply:
    return Reply(End.ANSWER, status, headers, page, is_early=None, at=0.02, over_at=0.02)


NGINX_PAGE = b"<h1>413 Request Entity Too Large</h1><hr><center>nginx/1.22.1</center>"


def limited(limit: int, refusal: Callable[[Wanted], Reply] | None = None) -> Path:
    """A path on which bodies above `limit` are refused, by nginx if nothing else is given."""

    def path(wanted: Wanted) -> Reply:
        if wanted.size <= limit:
            return probed(wanted, server="nginx/1.22.1")
        return refusal(wanted) if refusal else refused(413, NGINX_PAGE, server="nginx/1.22.1")

    return path


def examined(path: Path, protocol: str | None = "http/1.1", url: str = URL) -> Measured:
    """What is found by a page that does as it is told."""
    made: list[Made] = []
    now = 0.0
    for _ in range(40):
        found = follow(Visit(url, 1_000_000_000.0, protocol, made), "now", "1")
        if isinstance(found, Measured):
            return found
        reply = path(found)
        assert reply.over_at <= found.seconds
        made.append(Made(found.size, now, reply))
        now += reply.over_at
    raise AssertionError("it does not end")


def codes(measured: Measured) -> set[str]:
    return {finding.code for finding in diagnose(measured).findings}


def test_the_default_of_nginx_is_found_to_the_byte() -> None:
    measured = examined(limited(MiB))
    limit = measured.limit
    assert (limit.passes, limit.refuses, limit.exact, limit.proof) == (MiB, MiB + 1, True, "sent")
    assert limit.refusal is not None
    assert (limit.refusal.status, limit.refusal.by, limit.refusal.early) == (413, "nginx", None)
    diagnosis = diagnose(measured)
    assert diagnosis.verdict == "narrow"
    [text] = [each.text for each in diagnosis.findings if each.code == "narrow"]
    assert text.startswith("nginx refuses bodies above 1 MiB with 413. ")
    assert any("client_max_body_size" in each.snippets[0].code for each in diagnosis.remedies)
    letter = render_letter(measured, diagnosis)
    assert "by a browser, on the page of Wherry 1." in letter
    assert "truncate -s 1048577" in letter


def test_a_wide_path_is_not_said_to_have_no_limit_at_all() -> None:
    measured = examined(limited(1 << 40))
    assert (measured.limit.sent, measured.limit.refuses) == (8 * MiB, None)
    assert diagnose(measured).verdict == "wide"
    assert "no-limit-seen" in codes(measured)
    assert measured.spent.bytes < 10 * MiB


def test_every_limit_is_bracketed_within_the_bytes_that_may_be_spent() -> None:
    chance = random.Random(7)
    limits = [16 * KiB, 128 * KiB, 4_500_000, 8 * MiB - 1, 10**6, *KNOWN_ODD]
    for limit in [*limits, *(chance.randrange(KiB, 8 * MiB) for _ in range(200))]:
        measured = examined(limited(limit))
        found = measured.limit
        assert (found.passes or 0) <= limit < (found.refuses or 0), limit
        assert (found.refuses or 0) <= 2 * limit or limit < 16 * KiB, limit
        assert measured.spent.bytes <= 32 * MiB


KNOWN_ODD = (KiB, 3000, 65_537, 777_777, 5 * MiB - 3)


def test_on_a_slow_line_it_ends_in_time() -> None:
    def path(wanted: Wanted) -> Reply:
        took = 0.1 + wanted.size / (256 * KiB)
        if took > wanted.seconds:
            return Reply(End.TIMEOUT, is_early=None, at=wanted.seconds, over_at=wanted.seconds)
        if wanted.drip:
            return probed(wanted, took=0.1)
        if wanted.size > 3 * MiB:
            return Reply(End.ANSWER, 413, {}, b"", is_early=None, at=took, over_at=took)
        return probed(wanted, took=took, arrival=took - 0.1)

    measured = examined(path)
    assert measured.spent.seconds <= 30
    assert measured.limit.sent >= MiB


def test_a_plain_404_of_iis_is_a_refusal() -> None:
    page = b"<html><body><h1>404 - File or directory not found.</h1></body></html>"
    iis = limited(MiB, lambda _: refused(404, page, server="Microsoft-IIS/10.0"))
    measured = examined(iis)
    assert (measured.limit.passes, measured.limit.refuses) == (MiB, MiB + 1)
    diagnosis = diagnose(measured)
    assert (diagnosis.verdict, [each.proxy for each in diagnosis.remedies]) == ("narrow", ["iis"])


def test_a_connection_that_breaks_once_is_no_refusal_and_twice_is_one() -> None:
    broken: list[int] = []

    def once(wanted: Wanted) -> Reply:
        if wanted.size == 8 * MiB and not broken:
            broken.append(wanted.size)
            return Reply(End.RESET, is_early=None, at=0.1, over_at=0.1)
        return probed(wanted)

    assert examined(once).limit.refuses is None
    assert broken
    reset = limited(2 * MiB, lambda _: Reply(End.RESET, is_early=None, at=0.1, over_at=0.1))
    measured = examined(reset)
    limit = measured.limit
    assert limit.passes is not None
    assert limit.refuses is not None
    assert limit.passes <= 2 * MiB < limit.refuses  # each size is sent twice, so few are tried
    assert limit.refusal is not None
    assert limit.refusal.kind == "reset"
    assert measured.spent.bytes <= 32 * MiB


def test_where_a_filter_refuses_raw_bodies_forms_are_asked_for() -> None:
    asked: list[str] = []

    def path(wanted: Wanted) -> Reply:
        asked.append(wanted.content_type.partition(";")[0])
        is_raw = asked[-1] == "application/octet-stream"
        return refused(403, b"<h1>Forbidden</h1>") if is_raw else probed(wanted)

    measured = examined(path)
    assert measured.limit.sent == 8 * MiB
    assert set(asked[1:]) == {"multipart/form-data"}


@pytest.mark.parametrize(
    ("took", "arrival", "collected"),
    [(2.0, 0.01, True), (2.0, 1.8, False), (2.0, 0.6, None), (0.3, 0.01, None)],
)
def test_a_body_that_is_sent_slowly_and_arrives_at_once_was_collected(
    took: float, arrival: float, collected: bool | None
) -> None:
    def path(wanted: Wanted) -> Reply:
        return probed(wanted, took=took, arrival=arrival) if wanted.size >= MiB else probed(wanted)

    measured = examined(path)
    assert measured.buffers_request is collected
    assert ("buffered" in codes(measured)) is (collected is True)


def test_an_answer_that_was_to_come_slowly_and_came_at_once_was_collected() -> None:
    assert examined(limited(MiB)).buffers_answer is False

    def path(wanted: Wanted) -> Reply:
        reply = probed(wanted, took=1.2 if wanted.drip else 0.01)
        reply.over_at = reply.at
        return reply

    assert examined(path).buffers_answer is True


def test_the_clock_of_the_browser_is_compared_with_the_servers() -> None:
    late = "Sun, 09 Sep 2001 01:41:40 GMT"  # five minutes before the browser's clock

    def path(wanted: Wanted) -> Reply:
        return probed(wanted, date=late)

    measured = examined(path)
    assert measured.skew is not None
    assert abs(measured.skew + 300) <= 1
    assert "clock" in codes(measured)


@pytest.mark.parametrize(
    ("protocol", "url", "found"),
    [
        ("h2", URL, (True, MiB + 1)),
        ("http/1.1", URL, (False, None)),
        ("http/1.1", "http://example.org/api", (None, None)),
        ("h3", URL, (None, None)),
        (None, URL, (None, None)),
    ],
)
def test_only_the_version_of_http_that_was_spoken_counts_as_measured(
    protocol: str | None, url: str, found: tuple[bool | None, int | None]
) -> None:
    measured = examined(limited(MiB), protocol, url)
    assert (measured.http2, measured.limit_over_2) == found
    assert measured.protocol == protocol
    assert "http2-differs" not in codes(measured)


def test_a_refusal_without_cors_headers_is_said_to_be_unreadable_elsewhere() -> None:
    measured = examined(limited(MiB))
    assert (measured.cors.on_answer, measured.cors.on_refusal) == (None, False)
    [text] = [f.text for f in diagnose(measured).findings if f.code == "cors-on-refusal"]
    assert text.startswith("The proxy's refusal has no CORS headers. A page of another address")
    readable = {"access-control-allow-origin": "*"}
    open_to_all = limited(MiB, lambda _: refused(413, NGINX_PAGE, **readable))
    assert examined(open_to_all).cors.on_refusal is True


def test_what_a_browser_cannot_measure_stays_unknown() -> None:
    measured = examined(limited(MiB))
    timers = measured.timers
    assert (timers.idle, timers.whole, timers.answer, timers.watched) == (None, None, None, 0.0)
    assert (measured.methods, measured.content_types, measured.headers) == ({}, {}, {})
    assert (measured.chunked, measured.interim) == (None, {})
    assert (measured.tls.version, measured.tls.days_left) == (None, None)


def test_a_path_without_an_answer_is_unreachable() -> None:
    measured = examined(lambda _: Reply(End.RESET, is_early=None, at=0.1, over_at=0.1))
    assert measured.problem == "the connection was reset before an answer came"
    assert diagnose(measured).verdict == "unreachable"


@pytest.mark.parametrize("sizes", [[7], [KiB, KiB, 8 * MiB], [KiB, 32 * MiB]])
def test_a_request_that_nobody_asked_for_is_an_error(sizes: list[int]) -> None:
    made = [Made(size, 0.0, probed(Wanted(size, "", 0, 1.0))) for size in sizes]
    with pytest.raises(NotWanted) as wrong:
        follow(Visit(URL, 0.0, None, made), "now", "1")
    assert wrong.value.index == len(sizes) - 1


def test_requests_after_the_last_one_are_an_error() -> None:
    made: list[Made] = []
    while isinstance(found := follow(Visit(URL, 0.0, None, made), "now", "1"), Wanted):
        made.append(Made(found.size, 0.0, probed(found)))
    made.append(made[-1])
    with pytest.raises(NotWanted):
        follow(Visit(URL, 0.0, None, made), "now", "1")


def test_nothing_that_a_proxy_says_is_markdown_in_the_letter() -> None:
    hostile: dict[str, Any] = {"server": "nginx/1`**[x](http://evil)<img src=x>"}
    measured = examined(limited(MiB, lambda _: refused(413, NGINX_PAGE, **hostile)))
    letter = render_letter(measured, diagnose(measured))
    [line] = [each for each in letter.splitlines() if each.startswith("- On the path")]
    assert "evil" in line
    assert re.search(r"(?<!\\)[\[\]<>*`]", line) is None
