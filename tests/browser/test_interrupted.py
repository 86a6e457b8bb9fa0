"""What comes between: restarts, reloads, logins that end, faults, and no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from tests.browser.application import (
    application,
    check_arrived,
    expire_logins,
    faulty_ingress,
    unfinished,
)
from tests.browser.conftest import OpenTab
from tests.browser.tab import MiB, Tab
from tests.examples.running import Example
from tests.waiting import wait_until

from wherry.testing.proxy import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = [pytest.mark.slow, pytest.mark.nginx]

LOGIN = """fetch('/api/login', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ name: 'alice', password: 'alice' }),
})"""
WITH_LOGIN = f"""client.uploadVideoChunked(file, onProgress, {{
  headers: async () => {{
    window.logins = (window.logins ?? 0) + 1;
    await {LOGIN};
    return {{}};
  }},
}})"""
#: How many chunks began in the two seconds after the refusal.
BEGUN_AFTER = """(refused) => {
  const chunks = performance.getEntriesByType('resource').filter((e) => e.name.includes('/chunk?'));
  const end = chunks.find((e) => e.responseStatus === refused).responseEnd;
  return chunks.filter((e) => e.startTime > end && e.startTime < end + 2000).length;
}"""
#: Chunks that a client has in its hands at once.
CONCURRENCY = 4
CHUNKS = "/chunked-upload/chunk"


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    with application() as example:
        yield example


class SecondHalf:
    """Holds the chunks of the second half of the film until it lets them go."""

    def __init__(self, tab: Tab, film: Path) -> None:
        self._begin, self._is_held = film.stat().st_size // 2, True
        self._held: list[Route] = []
        tab.page.route("**/chunk?*", self._hold)

    def _hold(self, route: Route) -> None:
        offset = int(parse_qs(urlsplit(route.request.url).query)["offset"][0])
        if self._is_held and offset >= self._begin:
            self._held.append(route)
        else:
            route.continue_()

    def let_go(self) -> None:
        self._is_held = False
        while self._held:
            self._held.pop().continue_()

    def forget(self) -> None:
        """The document that sent them is gone."""
        self._held.clear()
        self.let_go()


def test_a_restart_of_backend_and_frontend_is_waited_out_by_the_open_page(
    example: Example, tab: Tab, film: Path
) -> None:
    def programs() -> set[str]:
        return set(example.supervisorctl("pid", "backend", "frontend").split())

    before = programs()
    tab.choose(film)
    rest = SecondHalf(tab, film)
    tab.begin()
    tab.wait_for_middle()
    with example.start_supervisorctl("restart", "backend", "frontend") as restarting:
        wait_until(lambda: not example.is_backend_up())
        rest.let_go()
        tab.wait_for("m.state === 'retrying'")
    check_arrived(example, tab.result(), film)
    assert restarting.returncode == 0
    assert not before & programs()


def test_after_a_reload_only_what_is_missing_is_sent(
    example: Example, open_tab: OpenTab, film: Path
) -> None:
    size = film.stat().st_size
    with faulty_ingress(example, max_body=MiB) as ingress:
        tab = open_tab(example, url=ingress.url)
        tab.choose(film)
        rest = SecondHalf(tab, film)
        tab.press_upload()
        tab.wait_for_percent(40)
        tab.page.reload()
        rest.forget()  # not before: the old document may just be sending another chunk
        [upload_id] = unfinished(example)
        url = f"{example.url}/api/chunked-upload/{upload_id}"
        safe = httpx2.get(url, cookies=example.sign_in("alice")).json()["received_bytes"]
        assert safe > size // 4
        before = ingress.bytes_in
        tab.choose(film)
        tab.press_upload()
        assessment_id = tab.wait_for_result_page()
        sent = ingress.bytes_in - before
    check_arrived(example, {"assessment_id": assessment_id}, film)
    assert sent < size - safe + MiB


# A login that ends.


def test_an_upload_that_can_log_in_again_goes_on_after_its_login_has_ended(
    example: Example, tab: Tab, film: Path
) -> None:
    tab.choose(film)
    with tab.slow(8 * MiB):
        tab.begin(WITH_LOGIN)
        tab.wait_for_middle()
        expire_logins(example)
    check_arrived(example, tab.result(), film)
    assert tab.page.evaluate("logins") == 2
    assert (f"/api{CHUNKS}", 401) in tab.answers


def test_an_upload_that_cannot_log_in_goes_on_when_it_is_called_after_the_next_login(
    example: Example, tab: Tab, film: Path
) -> None:
    tab.choose(film)
    with tab.slow(8 * MiB):
        tab.begin()
        tab.wait_for_middle()
        expire_logins(example)
    assert tab.error()["name"] == "Unauthorized"
    safe = max(moment["bytesSafe"] for moment in tab.moments())
    tab.page.evaluate(LOGIN)
    tab.begin(name="again")
    check_arrived(example, tab.result("again"), film)
    first = next(m for m in tab.moments("again") if m["state"] == "sending")
    assert first["bytesSafe"] >= safe > 0


# What something on the way answers.


@pytest.mark.parametrize("status", [429, 503])
def test_a_time_to_come_back_is_obeyed(
    example: Example, open_tab: OpenTab, film: Path, status: int
) -> None:
    full = Fault(status=status, retry_after=2, every=8, times=1)
    with faulty_ingress(example, full, path=CHUNKS) as ingress:
        tab = open_tab(example, url=ingress.url)
        result = tab.upload(film)
        waited = [m for m in tab.moments() if m["state"] == "waiting"]
        # Those that it was just making ready may still go out.
        assert tab.page.evaluate(BEGUN_AFTER, status) < CONCURRENCY
    check_arrived(example, result, film)
    assert 0 < waited[0]["retryAfter"] <= 2  # of which a busy machine has let some pass


def test_a_server_that_fails_with_every_tenth_chunk_gets_every_byte(
    example: Example, open_tab: OpenTab, film: Path
) -> None:
    with faulty_ingress(example, Fault(status=500, every=10), path=CHUNKS) as ingress:
        tab = open_tab(example, url=ingress.url)
        check_arrived(example, tab.upload(film), film)
    assert tab.answers.count((f"/api{CHUNKS}", 500)) >= 2


def test_an_upload_waits_while_there_is_no_network(example: Example, tab: Tab, film: Path) -> None:
    tab.choose(film)
    with tab.slow(8 * MiB):
        tab.begin()
        tab.wait_for_middle()
        tab.have_network(offline=True)
        tab.wait_for("m.state === 'retrying' && m.problem === 'The browser is offline.'")
        tab.have_network(upload=8 * MiB)
    check_arrived(example, tab.result(), film)
