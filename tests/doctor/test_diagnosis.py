"""From recorded measurements to findings, a verdict, and what to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wherry.doctor.diagnosis import Diagnosis, diagnose
from wherry.doctor.measured import BROWSER, Cors, Limit, Measured, Refusal, Timers, Tls
from wherry.doctor.recognition import Proxy

MiB = 1 << 20
WIDE = Measured(
    "https://example.org/api",
    "2026-11-28T09:00:00Z",
    "1",
    is_wherry=True,
    is_authorised=True,
    status=200,
    limit=Limit(8 * MiB, None, False, "sent", 8 * MiB, None, 5 << 30),
    timers=Timers(watched=24.0),
    host_sent="example.org",
    host_arrived="example.org",
)
NGINX = replace(
    WIDE,
    limit=Limit(MiB, MiB + 1, True, "sent", MiB, Refusal(413, "page", True, "nginx")),
    proxies=(Proxy("nginx", "1.22.1", ("Server: nginx/1.22.1",)),),
)


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}


def shown(diagnosis: Diagnosis) -> set[str]:
    return {remedy.proxy for remedy in diagnosis.remedies}


def text_of(diagnosis: Diagnosis, code: str) -> str:
    [text] = [finding.text for finding in diagnosis.findings if finding.code == code]
    return text


def test_a_wide_path_needs_no_change() -> None:
    found = diagnose(WIDE)
    assert (found.verdict, codes(found), found.remedies) == ("wide", {"no-limit", "no-timer"}, ())


def test_a_narrow_path_is_named_with_its_limit_and_what_to_change() -> None:
    found = diagnose(NGINX)
    assert found.verdict == "narrow"
    assert text_of(found, "narrow").startswith("nginx refuses bodies above 1 MiB with 413.")
    [nginx] = [remedy for remedy in found.remedies if remedy.proxy == "nginx"]
    assert "client_max_body_size 600m;" in nginx.snippets[0].code
    # An authorised probe would have shown the headers of ingress-nginx.
    assert shown(found) == {"nginx", "f5-nginx-ingress", "nginx-gateway-fabric"}
    without = replace(NGINX, is_authorised=False)
    assert shown(diagnose(without)) == shown(found) | {"ingress-nginx"}


def test_ingress_nginx_is_said_to_be_archived_and_its_successors_are_shown() -> None:
    refusal = Refusal(413, "page", True, "ingress-nginx")
    proxies = (Proxy("ingress-nginx", "1.25.5", ("Server: nginx/1.25.5",)),)
    limit = replace(NGINX.limit, refusal=refusal)
    found = diagnose(replace(NGINX, limit=limit, proxies=proxies))
    assert "archived in March 2026" in found.remedies[0].text
    assert [remedy.proxy for remedy in found.remedies] == [
        "ingress-nginx",
        "nginx-gateway-fabric",
        "envoy-gateway",
        "traefik",
    ]


def test_a_limit_above_any_chunk_is_no_problem() -> None:
    limit = Limit(100 * 10**6, 100 * 10**6 + 1, True, "announced", 8 * MiB)
    refusal = Refusal(413, "page", True, "cloudflare")
    found = diagnose(replace(WIDE, limit=replace(limit, refusal=refusal)))
    assert found.verdict == "wide"
    assert text_of(found, "limit").startswith("Cloudflare refuses bodies above 100 MB")
    assert found.remedies == ()


def test_a_proxy_that_does_not_say_what_it_is_stays_unknown() -> None:
    limit = Limit(MiB, 2 * MiB, False, "sent", MiB, Refusal(None, "reset", True, None))
    found = diagnose(replace(WIDE, limit=limit))
    assert text_of(found, "narrow").startswith(
        "Something in front refuses bodies of 2 MiB by ending the connection, without an answer."
    )
    assert [remedy.proxy for remedy in found.remedies] == ["unknown"]


def test_a_refusal_by_the_application_itself_is_not_put_on_a_proxy() -> None:
    refusal = Refusal(413, "page", True, "wherry")
    found = diagnose(replace(NGINX, limit=replace(NGINX.limit, refusal=refusal)))
    assert text_of(found, "narrow").startswith("The application itself refuses")
    assert [remedy.proxy for remedy in found.remedies] == ["wherry"]


@pytest.mark.parametrize(
    ("changes", "code", "verdict"),
    [
        ({"timers": Timers(whole=20.0, watched=24.0)}, "timer-whole", "trouble"),
        ({"timers": Timers(idle=5.0, watched=24.0)}, "timer-idle", "trouble"),
        ({"timers": Timers(answer=10.0, watched=24.0)}, "timer-answer", "trouble"),
        ({"buffers_request": True}, "buffered", "wide"),
        ({"buffers_answer": True}, "answers-buffered", "wide"),
        ({"methods": {"POST": True, "PATCH": False}}, "methods", "wide"),
        ({"content_types": {"application/octet-stream": False}}, "content-types", "trouble"),
        ({"content_types": {"video/mp4": False}}, "content-types", "wide"),
        ({"headers": {"content-digest": "missing"}}, "headers", "trouble"),
        ({"headers": {"upload-offset": "changed"}}, "headers", "wide"),
        ({"chunked": False}, "no-chunked", "wide"),
        ({"host_arrived": "127.0.0.1:8000"}, "host-changed", "wide"),
        ({"interim": {"104": "final"}}, "interim-final", "wide"),
        ({"interim": {"104": "passed"}, "proxies": NGINX.proxies}, "interim-passed", "wide"),
        ({"cors": Cors("https://a.example", False, None)}, "cors", "trouble"),
        ({"cors": Cors("https://a.example", True, False)}, "cors-on-refusal", "wide"),
        ({"limit": Limit(8 * MiB, None, False, "sent", 8 * MiB)}, "no-limit-seen", "wide"),
        ({"tls": Tls(True, "TLSv1.3", 3)}, "certificate", "trouble"),
        ({"skew": -300.0}, "clock", "trouble"),
        ({"is_authorised": False}, "no-login", "wide"),
        ({"is_authorised": False, "has_login": True}, "login-refused", "wide"),
        ({"is_authorised": None, "status": 404}, "not-the-api", "wide"),
        ({"timers": Timers(watched=4.0)}, "timers-unknown", "wide"),
        ({"is_wherry": False, "is_authorised": None, "status": 404}, "not-wherry", "wide"),
        ({"problem": "refused"}, "unreachable", "unreachable"),
    ],
)
def test_each_measurement_has_its_finding(
    changes: dict[str, object], code: str, verdict: str
) -> None:
    found = diagnose(replace(WIDE, **changes))  # type: ignore[arg-type]
    assert code in codes(found)
    assert code not in codes(diagnose(WIDE))
    assert found.verdict == verdict
    assert text_of(found, code).endswith(".")


def test_a_browser_that_cannot_tell_when_the_answer_came_says_nothing_about_it() -> None:
    refusal = Refusal(413, "page", None, "nginx")
    found = diagnose(replace(NGINX, limit=replace(NGINX.limit, refusal=refusal), http2=True))
    assert text_of(found, "narrow").startswith("nginx refuses bodies above 1 MiB with 413. ")
    assert "http2-differs" not in codes(found)


def test_a_page_is_not_said_to_be_unable_to_read_what_is_of_its_own_origin() -> None:
    own, other = (
        text_of(diagnose(replace(WIDE, cors=Cors(origin, None, False))), "cors-on-refusal")
        for origin in ("https://example.org", "https://example.o")
    )
    assert own.startswith("The proxy's refusal has no CORS headers. A page of another address")
    assert other.startswith("A page of https://example.o cannot read the proxy's refusal")


def test_what_was_not_measured_makes_no_finding() -> None:
    nothing = Measured("https://example.org/api", "2026-11-28T09:00:00Z", "1", is_wherry=True)
    assert codes(diagnose(nothing)) == {"limit-unknown"}


def test_a_path_of_which_too_little_is_known_is_not_called_wide() -> None:
    found = diagnose(replace(WIDE, limit=Limit(16384, None, False, "sent", 16384)))
    assert found.verdict == "unknown"
    assert text_of(found, "limit-unknown").endswith("A body of 16 KiB passed.")


def test_a_path_whose_bodies_are_only_collected_gets_no_lines_to_change() -> None:
    collected = replace(WIDE, proxies=NGINX.proxies, buffers_request=True)
    assert diagnose(collected).remedies == ()


def test_a_timer_is_a_reason_for_lines_to_change_where_the_size_is_none() -> None:
    slow = replace(WIDE, proxies=NGINX.proxies, timers=Timers(idle=5.0, watched=24.0))
    assert "nginx" in shown(diagnose(slow))


def test_a_host_that_is_not_passed_on_gets_the_line_that_passes_it_on() -> None:
    line = "proxy_set_header Host $http_host;"
    wide = diagnose(replace(WIDE, proxies=NGINX.proxies, host_arrived="backend"))
    assert [[snippet.code for snippet in each.snippets] for each in wide.remedies] == [[line]]
    assert "takes all hosts behind this proxy for one" in text_of(wide, "host-changed")
    narrow = diagnose(replace(NGINX, host_arrived="backend"))
    codes = {each.proxy: [snippet.code for snippet in each.snippets] for each in narrow.remedies}
    assert codes["nginx"][-1] == line
    assert len(codes["nginx"]) == 2
    assert line not in str(diagnose(NGINX).remedies)


def test_a_refused_key_is_not_told_to_give_a_key() -> None:
    refused = replace(WIDE, is_authorised=False, has_login=True, status=401)
    known = text_of(diagnose(refused), "login-refused")
    guest = text_of(diagnose(replace(refused, status=403)), "login-refused")
    assert "guest ticket" in guest
    foreign = text_of(diagnose(replace(refused, is_wherry=False)), "login-refused")
    assert known.startswith("The key was refused (401): the server, or the application")
    assert "by an application" in foreign
    assert not any("Give a key" in text for text in (known, guest, foreign))


def test_who_has_only_a_browser_is_not_told_of_options() -> None:
    page = replace(WIDE, by=BROWSER, is_authorised=False, timers=Timers())
    found = diagnose(page)
    assert "--" not in text_of(found, "no-login")
    assert "timers-unknown" not in codes(found)


@pytest.mark.parametrize(
    ("url", "end"),
    [
        ("https://example.org", "begins: try https://example.org/api."),
        ("https://example.org/api", "where /chunked-upload begins."),
    ],
)
def test_an_address_above_the_api_is_told_where_the_api_may_be(url: str, end: str) -> None:
    found = diagnose(replace(WIDE, url=url, is_authorised=None, status=404))
    assert text_of(found, "not-the-api").endswith(end)


def test_a_server_that_is_busy_is_not_said_to_be_another_address() -> None:
    assert "not-the-api" not in codes(diagnose(replace(WIDE, is_authorised=None, status=503)))


def test_a_proxy_that_spoils_interim_answers_is_said_to_need_a_setting() -> None:
    found = diagnose(replace(WIDE, interim={"103": "final", "104": "final"}))
    assert "set interim_responses to never" in text_of(found, "interim-final")
