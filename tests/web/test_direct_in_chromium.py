"""Parts that a real browser sends to a real object store, with the built file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.storage.store_proxy import Fault
from tests.web.conftest import STATIC
from tests.web.direct_site import PART, DirectSite, direct_site

from wherry.testing.s3 import S3Server

LENGTH = 4 * PART + 12_345
DIRECT = LENGTH - PART
#: Seconds that a request may be held.
HELD = 120

#: Imports the client, once for a page.
IMPORT = """
async (code) => {
  window.api = await import(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})))
  window.uploads = {}
}
"""
#: Starts an upload of reproducible bytes.
START = """
async ({name, size, options}) => {
  const bytes = new Uint8Array(size)
  for (let at = 0, x = name.charCodeAt(0); at < size; at++)
    bytes[at] = (x = (Math.imul(x, 1103515245) + 12345) >>> 0) >>> 16
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  const sha256 = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const moments = []
  const onProgress = (percent, { state, problem, bytesSafe }) =>
    moments.push({ percent, state, problem, bytesSafe })
  const file = new File([bytes], name, { lastModified: 1 })
  const upload = api.createUpload(file, { ...options, onProgress })
  const one = (uploads[name] = { upload, moments, ended: null })
  upload.start().then(
    () => (one.ended = { error: null }),
    ({ name, message }) => (one.ended = { error: { name, message } }),
  )
  return sha256
}
"""


class Tab:
    """A page with the client, and what it has asked the server for."""

    def __init__(self, page: Any, site: DirectSite) -> None:
        self.page = page
        self.site = site
        #: The offset of each chunk.
        self.chunks: list[int] = []
        page.on("request", self._asked)
        page.goto(f"{site.url}/healthz")
        page.evaluate(IMPORT, (STATIC / "chunkedUploadApi.js").read_text())

    def _asked(self, request: Any) -> None:
        url = urlsplit(request.url)
        if url.path.endswith("/chunk"):
            self.chunks.append(int(parse_qs(url.query)["offset"][0]))

    def start(self, name: str, **options: object) -> str:
        """The SHA-256 of the file."""
        asked = {"name": name, "size": LENGTH, "options": options}
        return str(self.page.evaluate(START, asked))

    def call(self, name: str, method: str) -> None:
        self.page.evaluate(f"(name) => uploads[name].upload.{method}()", name)

    def end(self, name: str) -> dict[str, Any] | None:
        """The error with which the upload ended, if any."""
        self.page.wait_for_function("(name) => uploads[name].ended", arg=name)
        error: dict[str, Any] | None = self.page.evaluate(
            "(name) => uploads[name].ended.error", name
        )
        return error

    def moments(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("(name) => uploads[name].moments", name)
        return found

    def is_quiet(self, name: str) -> bool:
        """Whether its caller has heard of nothing but progress."""
        seen = self.moments(name)
        states = {moment["state"] for moment in seen}
        return states <= {"starting", "sending", "completing", "done"} and not any(
            moment["problem"] for moment in seen
        )


@pytest.fixture(scope="module")
def cors_site(
    s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DirectSite]:
    with direct_site(s3_server, tmp_path_factory.mktemp("cors"), cors=True) as site:
        yield site


@pytest.fixture
def tab(page: Any, cors_site: DirectSite) -> Tab:
    cors_site.store.reset()
    cors_site.store.faults = []
    return Tab(page, cors_site)


def test_all_parts_but_the_first_go_to_the_store(tab: Tab) -> None:
    sha256 = tab.start("a.mp4")
    assert tab.end("a.mp4") is None
    assert sha256 in tab.site.stored()
    assert 0 <= max(tab.chunks) < PART, "only the first part"
    assert tab.site.store.sent["UploadPart"] == DIRECT
    assert tab.is_quiet("a.mp4")
    percents = [moment["percent"] for moment in tab.moments("a.mp4")]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_without_a_cors_rule_everything_goes_through_wherry_and_the_next_file_does_not_try(
    page: Any, s3_server: S3Server, tmp_path: Path
) -> None:
    with direct_site(s3_server, tmp_path, cors=False) as site:
        tab = Tab(page, site)
        first = tab.start("b.mp4")
        assert tab.end("b.mp4") is None
        tried = site.store.requests["Preflight"]
        assert tried > 0
        second = tab.start("c.mp4")
        assert tab.end("c.mp4") is None
        assert site.store.requests["Preflight"] == tried, "the page has forgotten"
        assert site.store.requests["UploadPart"] == 0
        assert site.stored() == {first, second}
        assert tab.is_quiet("b.mp4")
        assert tab.is_quiet("c.mp4")


def test_a_store_that_fails_for_a_moment_is_tried_again(tab: Tab) -> None:
    tab.site.store.faults = [
        Fault("UploadPart", 1, 200),
        Fault("UploadPart", 1, 503, "SlowDown", passes=False),
        Fault("UploadPart", 1, 403, "Request has expired", passes=False),
    ]
    sha256 = tab.start("d.mp4", concurrency=1)
    assert tab.end("d.mp4") is None
    assert sha256 in tab.site.stored()
    assert tab.site.store.requests["UploadPart"] == 6
    assert 0 <= max(tab.chunks) < PART, "only the first part"
    assert not tab.is_quiet("d.mp4"), "its caller sees that it tries again"


def hold_part(tab: Tab, after: int = 0) -> tuple[Event, Event]:
    """Events: a part has reached the store, after so many others; the store may answer."""
    reached, let_go = Event(), Event()

    def hold() -> None:
        reached.set()
        let_go.wait(HELD)

    tab.site.store.faults = [
        Fault("UploadPart", after, 200),
        Fault("UploadPart", 1, 200, then=hold),
    ]
    return reached, let_go


def test_a_pause_ends_the_parts_in_flight_and_they_are_sent_after_it(tab: Tab) -> None:
    reached, let_go = hold_part(tab)
    sha256 = tab.start("e.mp4", concurrency=1)
    assert reached.wait(HELD)
    tab.call("e.mp4", "pause")
    let_go.set()
    assert tab.moments("e.mp4")[-1]["state"] == "paused"
    sent = tab.site.store.requests["UploadPart"]
    tab.call("e.mp4", "resume")
    assert tab.end("e.mp4") is None
    assert sha256 in tab.site.stored()
    assert tab.site.store.requests["UploadPart"] == sent + 4
    assert 0 <= max(tab.chunks) < PART, "only the first part"


def test_a_cancel_ends_the_parts_in_flight_and_the_upload_on_the_server(tab: Tab) -> None:
    reached, let_go = hold_part(tab)
    tab.start("f.mp4", concurrency=1)
    assert reached.wait(HELD)
    tab.call("f.mp4", "cancel")
    error = tab.end("f.mp4")
    let_go.set()
    assert error is not None
    assert error["name"] == "AbortError"
    status = "(name) => fetch('/api/chunked-upload/' + uploads[name].upload.uploadId)"
    answer = tab.page.evaluate(f"async (name) => (await ({status})(name)).json()", "f.mp4")
    assert answer["state"] == "cancelled"
    assert tab.site.store.requests["UploadPart"] == 1


def test_after_a_reload_the_parts_that_the_store_has_are_not_sent_again(tab: Tab) -> None:
    reached, let_go = hold_part(tab, after=1)
    tab.start("g.mp4", concurrency=1)
    tab.page.wait_for_function(
        f"() => uploads['g.mp4'].moments.some((m) => m.bytesSafe >= {2 * PART})"
    )
    assert reached.wait(HELD)
    again = Tab(tab.page, tab.site)
    let_go.set()
    tab.site.store.reset()
    sha256 = again.start("g.mp4")
    assert again.end("g.mp4") is None
    assert sha256 in tab.site.stored()
    assert tab.site.store.sent["UploadPart"] <= LENGTH - 2 * PART
    assert again.chunks == []
