"""The operator's view in a real browser, in front of a real server with keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Api

from wherry import __version__
from wherry.auth import Keys, keys_file
from wherry.testing.server import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

MiB = 1 << 20


@dataclass(frozen=True)
class Guarded:
    server: Server
    alice: str
    boss: str

    def send(self, filename: str, size: int, part: int) -> str:
        """The id of an upload of Alice's, of which `part` bytes have arrived."""
        with Api(self.server.url, self.alice) as api:
            upload_id = str(api.init(size, filename=filename)["upload_id"])
            query = {"refused": str(2 * MiB), "refused_by": "nginx"}
            answer = api.http.post(
                "/chunked-upload/chunk",
                params={"upload_id": upload_id, "offset": "0", **query},
                content=b"x" * part,
            )
            assert answer.is_success, answer.text
        return upload_id

    def state(self, upload_id: str) -> object:
        with Api(self.server.url, self.alice) as api:
            return api.status(upload_id)["state"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    data = tmp_path_factory.mktemp("operator") / "data"
    keys = Keys(keys_file(data))
    alice, boss = keys.add("alice"), keys.add("boss", operator=True)
    with serving(data, assessment=False, sweep_every=86400) as server:
        yield Guarded(server, alice, boss)


def enter(page: Page, guarded: Guarded, key: str, fragment: str = "") -> None:
    page.goto(guarded.server.url + fragment)
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_the_view_is_for_operators_and_others_see_nothing_of_it(
    page: Page, guarded: Guarded
) -> None:
    guarded.send("hidden.mp4", 4 * MiB, MiB)
    enter(page, guarded, guarded.alice)
    page.get_by_text("Unfinished uploads").wait_for()
    assert page.get_by_role("link", name="Operator’s view").count() == 0
    enter(page, guarded, guarded.alice, "/?again#operator")
    page.get_by_text("This view is for operators.").wait_for()
    assert page.get_by_text("hidden.mp4").count() == 0


def test_with_the_keyboard_alone_an_operator_watches_copies_and_cancels(
    page: Page, guarded: Guarded
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    upload_id = guarded.send("talk.mp4", 4 * MiB, MiB)
    enter(page, guarded, guarded.boss)
    page.get_by_role("link", name="Operator’s view").focus()
    page.keyboard.press("Enter")
    in_flight = page.get_by_role("region", name="Uploads in flight")
    row = in_flight.get_by_role("row", name="talk.mp4")
    row.get_by_text("1 MiB of 4 MiB").wait_for()
    assert row.get_by_role("cell", name="alice").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Operator’s view"
    paths = page.get_by_role("region", name="Path limits")
    paths.get_by_role("row", name="127.0.0.1").get_by_text("nginx").wait_for()

    row.get_by_role("button").press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # copies
    page.get_by_text("The diagnostics were copied.").wait_for(state="attached")
    copied = page.evaluate("navigator.clipboard.readText()")
    for part in (upload_id, "alice", f"Wherry {__version__}", "refuses 2097152 bytes by nginx"):
        assert part in copied
    assert "wherry_" not in copied  # what a key begins with

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # asks
    page.get_by_text("Cancel this upload and delete the 1 MiB that arrived?").wait_for()
    page.keyboard.press("Enter")  # keeps
    assert guarded.state(upload_id) == "receiving"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # cancels
    ended = page.get_by_role("region", name="Ended without a file")
    ended.get_by_role("row", name="talk.mp4").get_by_text("cancelled").wait_for()
    assert guarded.state(upload_id) == "cancelled"
    assert page.evaluate("document.activeElement !== document.body")


def test_the_view_follows_what_happens_and_moves_nothing(page: Page, guarded: Guarded) -> None:
    upload_id = guarded.send("growing.mp4", 4 * MiB, MiB)
    enter(page, guarded, guarded.boss, "/#operator")
    row = page.get_by_role("row", name="growing.mp4")
    row.get_by_text("1 MiB of 4 MiB").wait_for()
    page.evaluate(
        "window.shifts = [];"
        "new PerformanceObserver((list) => window.shifts.push(...list.getEntries()))"
        ".observe({ type: 'layout-shift' })"
    )
    with Api(guarded.server.url, guarded.alice) as api:
        assert api.chunk(upload_id, MiB, b"x" * 2 * MiB).is_success
    row.get_by_text("3 MiB of 4 MiB").wait_for()
    row.get_by_text("a second").wait_for()
    assert page.evaluate("window.shifts.map(({ value }) => value)") == []


def test_an_upload_goes_on_while_its_owner_looks_at_the_view(page: Page, guarded: Guarded) -> None:
    enter(page, guarded, guarded.boss)
    page.get_by_role("link", name="Operator’s view").wait_for()
    held: list[Route] = []
    page.route("**/chunked-upload/upload", lambda route: held.append(route))
    page.get_by_label("Files", exact=True).set_input_files(
        {"name": "mine.bin", "mimeType": "application/octet-stream", "buffer": b"x" * 1000}
    )
    page.wait_for_function("document.querySelector('article.upload')")
    page.get_by_role("link", name="Operator’s view").click()
    page.get_by_role("heading", name="Clean up").wait_for()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.get_by_role("link", name="Your uploads").click()
    page.get_by_text("The whole file has arrived.", exact=True).wait_for()


def test_cleaning_up_asks_first_and_deletes_what_is_due(page: Page, guarded: Guarded) -> None:
    upload_id = guarded.send("removed-by-hand.mp4", 4 * MiB, MiB)
    folder = guarded.server.data / "temp_chunks" / upload_id
    (folder / "data").rename(guarded.server.data / "elsewhere")
    folder.rmdir()
    enter(page, guarded, guarded.boss, "/#operator")
    page.get_by_role("button", name="Clean up now").click()
    page.get_by_text("Delete 1 item and free 4 MiB?").wait_for()
    page.get_by_role("button", name="Yes, delete").click()
    page.get_by_text("1 item deleted, 4 MiB freed.").first.wait_for()
    ended = page.get_by_role("region", name="Ended without a file")
    row = ended.get_by_role("row", name="removed-by-hand.mp4")
    row.get_by_text("its folder was removed").wait_for()
