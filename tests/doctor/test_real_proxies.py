"""The doctor in front of real proxies: the verdict is what their configuration says."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.doctor.conftest import examined, haproxy
from tests.parts import need_program

from wherry.testing.apache import apache, require_apache
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server

pytestmark = pytest.mark.slow
KiB, MiB = 1 << 10, 1 << 20


@pytest.mark.nginx
def test_the_default_of_nginx_is_found_to_the_byte_for_little_more_than_its_bytes(
    server: Server,
) -> None:
    require_nginx()
    with nginx(server.port) as proxy:
        measured, diagnosis = examined(proxy.url)
    limit = measured.limit
    assert (limit.passes, limit.refuses, limit.proof) == (MiB, MiB + 1, "sent")
    assert limit.refusal is not None
    assert (limit.refusal.status, limit.refusal.early, limit.refusal.by) == (413, True, "nginx")
    assert measured.spent.bytes < 1.5 * MiB
    assert diagnosis.verdict == "narrow"
    assert "client_max_body_size" in diagnosis.remedies[0].snippets[0].code
    assert measured.buffers_request is True


@pytest.mark.nginx
def test_an_nginx_without_limit_and_buffer_is_wide(server: Server) -> None:
    require_nginx()
    with nginx(server.port, max_body="0", buffers=False) as proxy:
        measured, diagnosis = examined(proxy.url)
    assert (measured.limit.passes, measured.limit.refuses) == (8 * MiB, None)
    assert (diagnosis.verdict, measured.buffers_request) == ("wide", False)
    assert all(measured.methods.values())
    assert set(measured.headers.values()) == {"passed"}
    assert (measured.chunked, measured.trailers) == (True, False)
    # nginx 1.22 takes 103 and 104 for the final answer; newer ones swallow 103.
    assert (measured.interim["100"], measured.interim["104"]) == ("passed", "final")
    assert {finding.code for finding in diagnosis.findings} >= {"no-limit", "interim-final"}


@pytest.mark.nginx
def test_http2_is_found_to_have_the_same_limit(
    server: Server, certificate: tuple[Path, Path]
) -> None:
    require_nginx()
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    with nginx(server.port, max_body="3m", tls=certificate) as proxy:
        measured, diagnosis = examined(proxy.url, tls=trusted)
    assert (measured.limit.passes, measured.limit.refuses) == (3 * MiB, 3 * MiB + 1)
    assert measured.http2 is True
    assert measured.limit_over_2 == 3 * MiB + 1
    assert measured.tls.days_left in (1, 2)
    assert "certificate" in {finding.code for finding in diagnosis.findings}


@pytest.mark.nginx
def test_over_a_certificate_that_is_not_trusted_nothing_is_sent(
    server: Server, certificate: tuple[Path, Path]
) -> None:
    require_nginx()
    with nginx(server.port, tls=certificate) as proxy:
        with pytest.raises(AssertionError, match="certificate is not valid"):
            examined(proxy.url)
        assert not proxy.answers()


def test_a_haproxy_is_wide_and_passes_interim_answers_on(server: Server, tmp_path: Path) -> None:
    need_program("haproxy")
    with haproxy(server.port, tmp_path) as url:
        measured, diagnosis = examined(url)
    assert (measured.limit.refuses, diagnosis.verdict) == (None, "wide")
    assert (measured.buffers_request, measured.interim["103"]) == (False, "passed")
    assert (measured.chunked, measured.trailers) == (True, True)


def test_a_rule_of_haproxy_is_found_and_recognised(server: Server, tmp_path: Path) -> None:
    rule = "http-request deny deny_status 413 if { req.body_size gt 131072 }"
    with haproxy(server.port, tmp_path, rule) as url:
        measured, diagnosis = examined(url)
    assert (measured.limit.passes, measured.limit.refuses) == (128 * KiB, 128 * KiB + 1)
    assert measured.limit.refusal is not None
    assert measured.limit.refusal.by == "haproxy"
    assert [remedy.proxy for remedy in diagnosis.remedies] == ["haproxy"]


def test_apache_is_recognised_and_its_timer_is_found(server: Server) -> None:
    require_apache()
    with apache(server.port, "RequestReadTimeout body=3") as proxy:
        measured, diagnosis = examined(proxy.url, watches=True, seconds=14)
    assert [each.name for each in measured.proxies] == ["apache"]
    assert measured.limit.refuses is None
    assert measured.timers.idle is not None
    assert 2 < measured.timers.idle < measured.timers.watched
    assert diagnosis.verdict == "trouble"
