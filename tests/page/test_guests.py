"""A guest's page in a real browser. An owner makes the link on the page, and it is all it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.conftest import make_file, sha256
from tests.page.test_browser import card, choose, stored

from wherry.auth import Keys, keys_file
from wherry.testing.server import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_a_link_lets_somebody_without_a_key_upload_one_file(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    key = Keys(keys_file(data)).add("alice")
    with serving(data, guests=True, assessment=False) as server:
        page.goto(server.url)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()
        page.get_by_label("Whom it is for").fill("Bob")
        page.get_by_role("button", name="Make a link").click()
        link = page.get_by_label("The link.").input_value()

        with browser.new_context() as other:
            guest = other.new_page()
            guest.goto(link)
            guest.get_by_text("You can upload 1 file with this link").wait_for()
            file = make_file(tmp_path / "film.bin", 300_000)
            choose(guest, file)
            card(guest, "film.bin").get_by_text("The whole file has arrived.").wait_for()
            guest.get_by_text("All files that this link allows have arrived").wait_for()
            assert stored(server) == [sha256(file)]

            choose(guest, make_file(tmp_path / "more.bin", 300_000, seed=2))
            card(guest, "more.bin").get_by_text("This link allows no more files.").wait_for()
            assert stored(server) == [sha256(file)]

            page.get_by_role("button", name="Revoke the link “Bob”").click()
            page.get_by_text("The link “Bob” was revoked.").wait_for(state="attached")
            guest.reload()
            guest.get_by_text("This link was revoked.").wait_for()

        page.reload()  # the file is the owner's, who has to give the key again
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()
        page.get_by_role("group").get_by_text("film.bin").wait_for()
