"""Through an nginx as narrow as it comes, 1 MiB a request: nobody notices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.application import (
    application,
    check_arrived,
    faulty_ingress,
    state_of,
    unfinished,
    videos,
)
from tests.browser.conftest import CONSOLE_TEST, OpenTab
from tests.browser.tab import MiB, Tab, check_words
from tests.e2e.conftest import make_file
from tests.examples.running import Example

from wherry.testing.proxy import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = [pytest.mark.slow, pytest.mark.nginx]

#: The requests with which an upload begins.
BEGINNINGS = re.compile("/chunked-upload/(init|upload)$")
#: Notes every value that the page's bar has.
WATCH_BAR = """() => {
  window.shown = [];
  new MutationObserver(() => {
    const bar = document.querySelector('[role=progressbar]');
    if (bar) window.shown.push(Number(bar.ariaValueNow));
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    with application() as example:
        yield example


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file that fits through the ingress in one request."""
    return make_file(tmp_path / "small.mp4", 500_000)


def test_the_console_test_ends_with_an_assessment_and_meets_no_refusal(
    example: Example, tab: Tab, tmp_path: Path
) -> None:
    same = tmp_path / "test.mp4"
    same.write_bytes(bytes(50 * MiB))
    check_arrived(example, tab.page.evaluate(CONSOLE_TEST), same)
    assert tab.refused() == 0


def test_who_uploads_by_the_page_sees_the_bar_only_grow_and_then_the_result(
    example: Example, open_tab: OpenTab, film: Path
) -> None:
    tab = open_tab(example, name=None)
    page = tab.page
    page.fill("#name", "alice")
    page.fill("#password", "alice")
    page.click("role=button[name='Sign in']")
    tab.choose(film)
    page.evaluate(WATCH_BAR)
    tab.press_upload()
    assessment_id = tab.wait_for_result_page()
    page.wait_for_selector("text=Status: done")
    assert f"{film.stat().st_size:,} bytes" in page.inner_text("main")
    check_arrived(example, {"assessment_id": assessment_id}, film)
    shown = page.evaluate("shown")
    assert shown == sorted(shown)
    assert len(set(shown)) > 5
    assert shown[-1] == 100


# Their own fallback.


def test_their_smart_upload_falls_back_where_their_own_upload_is_refused(
    example: Example, tab: Tab, film: Path
) -> None:
    tab.choose(film)
    tab.begin("theirs.smartUpload(file, onProgress)")
    check_arrived(example, tab.result(), film)
    assert tab.said.count("Falling back to chunked upload...") == 1
    assert ("/api/assessments/upload", 413) in tab.answers


def test_their_smart_upload_sends_what_fits_in_one_request(
    example: Example, tab: Tab, small: Path
) -> None:
    tab.choose(small)
    tab.begin("theirs.smartUpload(file, onProgress)")
    check_arrived(example, tab.result(), small)
    assert tab.chunks() == 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(status=500), "Request failed with status code 500"),
        (Fault(status=403), "Request failed with status code 403"),
        (Fault(reset_at=0), "Network Error"),
    ],
    ids=["500", "403", "network error"],
)
def test_their_smart_upload_throws_on_what_is_no_refusal_for_size(
    example: Example, open_tab: OpenTab, small: Path, fault: Fault, message: str
) -> None:
    with faulty_ingress(example, fault, path="/api/assessments/upload") as ingress:
        tab = open_tab(example, url=ingress.url)
        tab.choose(small)
        tab.begin("theirs.smartUpload(file, onProgress)")
        assert tab.error()["message"] == message
    assert tab.requests.count("/api/assessments/upload") == 1
    assert not any("/chunked-upload/" in path for path in tab.requests)
    assert "Falling back to chunked upload..." not in tab.said


# The words of errors.


def fulfil(answer: dict[str, Any], route: Route) -> None:
    route.fulfill(**answer)


def test_only_a_refusal_for_size_has_the_words_of_one(tab: Tab, tmp_path: Path) -> None:
    named = make_file(tmp_path / "413 is too large.mp4", 500_000)
    words = "413: upload 4134131341 is too large, Too Large"
    problem = {"title": words, "detail": words, "hint": words, "code": words}
    ours = problem | {"type": "urn:wherry:problem:words"}
    kinds = {}
    for status in (400, 401, 403, 404, 405, 409, 410, 415, 422, 429, 500, 501, 502, 503, 507):
        for body, kind in (
            (json.dumps(ours), "application/problem+json"),
            (json.dumps(problem | {"upload_id": words, "state": words}), "application/json"),
            (f"<h1>{words}</h1>", "text/html"),
        ):
            answer: dict[str, Any] = {"status": status, "body": body, "content_type": kind}
            tab.page.route(BEGINNINGS, partial(fulfil, answer))
            tab.choose(named)
            # A full server is waited for without end; whoever waits may leave.
            tab.begin(
                "client.uploadVideoChunked(file, (percent, { state }) =>"
                " state === 'waiting' && abort.abort(),"
                " { patience: 0.01, signal: (window.abort = new AbortController()).signal })"
            )
            error = tab.error()  # which looks at the words
            kinds[status, kind] = error["name"]
            tab.page.unroute(BEGINNINGS)
    assert {"Refused", "Unauthorized", "GaveUp"} <= set(kinds.values())
    assert "TooLarge" not in kinds.values()


def test_these_words_would_be_found() -> None:
    for words in ("status 413", "Too large"):
        with pytest.raises(AssertionError):
            check_words({"name": "GaveUp", "message": words})
    check_words({"name": "TooLarge", "message": "413"})


# Tabs.


def check_both_make_one_upload(example: Example, tab: Tab, other: Tab, film: Path) -> None:
    """Each tab begins with the same file, and reports the same assessment at its end."""
    before = videos(example)
    with tab.slow(8 * MiB), other.slow(8 * MiB):
        for one in (tab, other):
            one.choose(film)
            one.begin()
            one.wait_for_middle()
        assert len(unfinished(example)) == 1
    results = [one.result() for one in (tab, other)]
    assert results[0]["assessment_id"] == results[1]["assessment_id"]
    check_arrived(example, results[0], film)
    assert len(videos(example) - before) == 1


def test_two_tabs_with_one_file_make_one_upload(
    example: Example, tab: Tab, open_tab: OpenTab, film: Path
) -> None:
    other = open_tab(example, beside=tab)
    check_both_make_one_upload(example, tab, other, film)
    assert other.chunks() == 0  # it only watched


def test_a_tab_goes_on_where_one_that_was_closed_has_ended(
    example: Example, tab: Tab, open_tab: OpenTab, film: Path
) -> None:
    other = open_tab(example, beside=tab)
    with tab.slow(8 * MiB):
        for one in (tab, other):
            one.choose(film)
            one.begin()
            one.wait_for_middle()
        assert other.chunks() == 0
        tab.page.close()
    check_arrived(example, other.result(), film)
    assert other.chunks() > 0


def test_without_locks_two_tabs_send_one_upload_together(
    example: Example, open_tab: OpenTab, film: Path
) -> None:
    port = example.url.rsplit(":", 1)[1]
    tab = open_tab(example, url=f"http://app.wherry.test:{port}")
    other = open_tab(example, beside=tab, url=tab.url)
    assert tab.page.evaluate("navigator.locks === undefined")
    check_both_make_one_upload(example, tab, other, film)


# The end before the end.


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (
            "client.uploadVideoChunked(file, onProgress,"
            " { signal: (window.abort = new AbortController()).signal })",
            "abort.abort()",
        ),
        (
            "(window.byHand = client.createUpload(file, { onProgress })).start()",
            "byHand.cancel()",
        ),
    ],
    ids=["abort", "cancel"],
)
def test_an_upload_that_is_ended_here_is_cancelled_on_the_server_too(
    example: Example, tab: Tab, film: Path, begin: str, end: str
) -> None:
    tab.choose(film)
    with tab.slow(8 * MiB):
        tab.begin(begin)
        tab.wait_for_middle()
        [upload_id] = unfinished(example)
        tab.page.evaluate(end)
        assert tab.error()["name"] == "AbortError"
    assert unfinished(example) == []
    assert state_of(example, upload_id) == "cancelled"
