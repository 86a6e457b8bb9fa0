"""The doctor in front of proxies that are hard to have: the fault proxy stands for them."""

from __future__ import annotations

import pytest
from tests.doctor.conftest import examined

from wherry.testing.proxy import Fault, LimitingProxy
from wherry.testing.server import Server

pytestmark = pytest.mark.slow
KiB, MiB = 1 << 10, 1 << 20


def behind(server: Server, *faults: Fault, max_body: int | None = None) -> LimitingProxy:
    return LimitingProxy("127.0.0.1", server.port, max_body, faults)


def test_a_413_that_comes_after_the_body_is_found_with_real_bodies(server: Server) -> None:
    with behind(server, Fault(over=2 * MiB, status=413, is_late=True)).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url)
    limit = measured.limit
    assert (limit.passes, limit.refuses, limit.exact) == (2 * MiB, 2 * MiB + 1, True)
    assert limit.refusal is not None
    assert not limit.refusal.early
    assert diagnosis.verdict == "narrow"
    assert diagnosis.remedies[0].proxy == "unknown"


def test_a_filters_page_counts_as_a_refusal(server: Server) -> None:
    with behind(server, Fault(over=128 * KiB, status=403)).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url)
    limit = measured.limit
    assert (limit.passes, limit.refuses) == (128 * KiB, 128 * KiB + 1)
    assert limit.refusal is not None
    assert (limit.refusal.status, limit.refusal.kind) == (403, "page")
    assert diagnosis.verdict == "narrow"


def test_iis_that_hides_why_it_answers_404_is_found(server: Server) -> None:
    with behind(server, Fault(over=MiB, status=404)).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url)
    assert (measured.limit.passes, measured.limit.refuses) == (MiB, MiB + 1)
    assert diagnosis.verdict == "narrow"


def test_a_connection_that_is_reset_in_the_middle_of_a_body_is_a_refusal(server: Server) -> None:
    with behind(server, Fault(reset_at=512 * KiB)).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url)
    limit = measured.limit
    assert limit.passes is not None
    assert limit.refuses is not None
    assert limit.passes <= 512 * KiB < limit.refuses
    assert limit.refusal is not None
    assert limit.refusal.kind == "reset"
    assert diagnosis.verdict == "narrow"


def test_a_single_reset_is_no_refusal(server: Server) -> None:
    # Of the requests that announce so much, the second one is the first with such a body.
    fault = Fault(over=4 * MiB, reset_at=512 * KiB, every=2, times=1)
    with behind(server, fault).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url)
    assert measured.limit.sent == 8 * MiB
    assert (measured.limit.refuses, diagnosis.verdict) == (None, "wide")


def test_timers_are_found_while_the_limit_is_searched(server: Server) -> None:
    with behind(server, Fault(ends_after=3.0), max_body=MiB).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url, watches=True, seconds=16)
    timers = measured.timers
    for seconds in (timers.idle, timers.whole, timers.answer):
        assert seconds is not None
        assert 2.5 < seconds < timers.watched
    assert (measured.limit.passes, diagnosis.verdict) == (MiB, "narrow")
    codes = {finding.code for finding in diagnosis.findings}
    assert codes >= {"timer-idle", "timer-whole", "timer-answer", "narrow"}


def test_without_a_login_the_limit_is_found_all_the_same(server: Server) -> None:
    fault = Fault(path="nothing")
    with behind(server, fault, max_body=MiB).run_in_thread() as proxy:
        measured, _ = examined(f"{proxy.url}/elsewhere")
    assert not measured.is_authorised
    assert measured.limit.refuses == MiB + 1
    assert measured.buffers_request is None


def test_the_doctor_says_what_a_page_of_another_origin_cannot_read(server: Server) -> None:
    with behind(server, max_body=MiB).run_in_thread() as proxy:
        measured, diagnosis = examined(proxy.url, origin="https://app.example.org")
    assert measured.cors.on_refusal is False
    assert "cors-on-refusal" in {finding.code for finding in diagnosis.findings}
