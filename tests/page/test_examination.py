"""Somebody who has only a browser checks the connection on the page, through a real nginx."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.conftest import Complaints, MiB

from wherry.auth import Keys, keys_file
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route


def check(page: Page, url: str) -> Locator:
    """Open the page at `url`, and check the connection. The section of the page with the report."""
    page.goto(url)
    page.get_by_role("button", name="Start the check").click()
    page.locator(".check .verdict").wait_for()
    return page.get_by_role("region", name="Check the connection")


def fact(report: Locator, name: str) -> str:
    named = report.page.get_by_text(name, exact=True)
    return report.locator("dl > div").filter(has=named).locator("dd").inner_text()


def spent(page: Page) -> list[int]:
    """The sizes of the bodies that the page sends to the probe from now on."""
    sizes: list[int] = []

    def note(route: Route) -> None:
        sizes.append(len(route.request.post_data_buffer or b""))
        route.continue_()

    page.route("**/chunked-upload/probe*", note)
    return sizes


@pytest.mark.nginx
def test_the_default_of_nginx_is_found_and_the_letter_says_what_to_change(
    page: Page, server: Server, tmp_path: Path
) -> None:
    require_nginx()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with nginx(server.port) as ingress:
        report = check(page, ingress.url)
        assert "nginx refuses bodies above 1 MiB with 413." in report.inner_text()
        assert fact(report, "Largest body that passed") == "1 MiB"
        assert fact(report, "Smallest body that was refused") == "1,048,577 bytes"
        assert fact(report, "HTTP version") == "HTTP/1.1"
        assert "Server: nginx/" in fact(report, "On the way")
        assert fact(report, "Server’s clock") == "like the clock of this browser"
        assert fact(report, "Answers are collected on the way") == "no"
        assert "has no CORS headers" in report.inner_text()
        report.get_by_text("nginx", exact=True).click()
        report.get_by_text("client_max_body_size 600m;").first.wait_for()

        with page.expect_download() as saving:
            report.get_by_role("button", name="Save the letter").click()
        assert saving.value.suggested_filename == "INGRESS_FIX_REQUIRED.md"
        letter = Path(saving.value.path()).read_text()
        report.get_by_role("button", name="Copy the letter").click()
        report.get_by_text("The letter was copied.").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == letter
    assert letter.startswith("# Ingress fix required: request bodies above 1 MiB are refused\n")
    assert f"{ingress.url}/api/chunked-upload/probe" in letter
    assert "client_max_body_size 600m;" in letter


@pytest.mark.nginx
def test_an_nginx_without_a_limit_is_wide_and_costs_few_bytes(page: Page, server: Server) -> None:
    require_nginx()
    with nginx(server.port, max_body="0", buffers=False) as ingress:
        sizes = spent(page)
        report = check(page, ingress.url)
    # 8 MiB, or less on a busy machine.
    assert re.search(r"A body of [\d.]+ Mi?B\b.* passed", report.inner_text())
    assert fact(report, "Smallest body that was refused") == "none"
    assert report.get_by_role("button", name="Save the letter").count() == 0
    assert 2 * MiB < sum(sizes) < 10 * MiB


@pytest.mark.nginx
def test_whether_bodies_are_collected_shows_on_a_slow_line(page: Page, server: Server) -> None:
    require_nginx()
    network = page.context.new_cdp_session(page)
    found = []
    for buffers in (True, False):
        with nginx(server.port, buffers=buffers) as ingress:
            # With the limit of 1 MiB, one telling body is sent. It takes two seconds.
            slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
            network.send("Network.enable")
            network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": MiB // 2})
            report = check(page, ingress.url)
            found.append(fact(report, "Bodies are collected on the way"))
    assert found == ["yes", "no"]


def test_what_a_proxy_sends_is_shown_as_text(
    page: Page, server: Server, complaints: Complaints
) -> None:
    page.route(
        "**/chunked-upload/probe*",
        lambda route: (
            route.fulfill(
                status=413,
                headers={"Server": "nginx/<img/src=x/onerror=window.ran=1>"},
                content_type="text/html",
                body="<script>window.ran = 1</script><center>nginx/<b>1</b></center>",
            )
            if len(route.request.post_data_buffer or b"") > MiB
            else route.continue_()
        ),
    )
    report = check(page, server.url)
    assert "<img/src=x/onerror=window.ran=1>" in fact(report, "On the way")
    assert report.locator("img, script").count() == 0
    assert page.evaluate("window.ran") is None
    assert complaints.heard == []


def test_the_keyboard_is_enough_to_start_stop_and_start_again(page: Page, server: Server) -> None:
    held: list[Route] = []
    page.route("**/chunked-upload/probe*", lambda route: held.append(route))
    page.goto(server.url)
    page.get_by_role("button", name="Start the check").focus()
    page.keyboard.press("Enter")
    stop = page.get_by_role("button", name="Stop the check")
    stop.wait_for()
    focused = "document.activeElement.textContent"
    assert page.evaluate(focused) == "Check the connection"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Stop the check"
    page.keyboard.press("Enter")
    page.get_by_text("The check was stopped.").wait_for()
    assert page.evaluate(focused) == "Check the connection"
    page.unroute_all(behavior="ignoreErrors")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".check .verdict").wait_for()
    assert page.evaluate(focused) == "Check the connection"


def test_with_keys_a_check_without_one_asks_for_it(page: Page, tmp_path: Path) -> None:
    key = Keys(keys_file(tmp_path / "data")).add("alice")
    with serving(tmp_path / "data", assessment=False) as server:
        page.goto(server.url)
        page.get_by_role("button", name="Start the check").click()
        page.get_by_text("The check could not be finished.").wait_for()
        page.get_by_role("textbox", name="Key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Check again").click()
        page.locator(".check .verdict").wait_for()


def test_the_page_sends_no_more_than_it_says_whatever_the_server_asks_for(
    page: Page, server: Server
) -> None:
    endless = {"next": {"size": 12 * MiB, "content_type": "text/plain", "drip": 0, "seconds": 9}}
    page.route("**/chunked-upload/examination", lambda route: route.fulfill(json=endless))
    sizes = spent(page)
    page.goto(server.url)
    page.get_by_role("button", name="Start the check").click()
    page.get_by_text("asks for more requests than an examination may have").wait_for()
    assert sum(sizes) <= 32 * MiB
