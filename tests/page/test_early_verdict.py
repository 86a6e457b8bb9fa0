"""Somebody uploads a video that cannot be used over a slow line, and learns it at the beginning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from tests.assessment.recordings import padded, without_index
from tests.page.conftest import MiB

from wherry.testing.server import serving
from wherry.testing.video import make_video

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Of the line, in bytes a second. All of the file would take a minute.
SPEED, LENGTH = 2 * MiB, 120 * MiB


def test_a_video_without_its_index_is_told_early_and_may_be_cancelled(
    page: Page, tmp_path: Path, axe: str
) -> None:
    video = make_video(tmp_path / "lost.mp4", seconds=2, width=160, height=90)
    without_index(padded(video, LENGTH))
    with serving(tmp_path / "data") as server:
        page.goto(server.url)
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": SPEED}
        line.send("Network.emulateNetworkConditions", {"offline": False, **speed})
        page.locator("input[type=file]").first.set_input_files(video)
        card = page.locator("article.upload")
        card.get_by_text("its index is missing").wait_for()
        assert "The upload goes on" in card.inner_text()
        [upload] = httpx2.get(f"{server.url}/api/chunked-upload/").json()["uploads"]
        assert upload["state"] == "receiving"
        assert upload["received_bytes"] < LENGTH / 2
        page.evaluate(axe)
        assert page.evaluate("axe.run('article.upload').then((found) => found.violations)") == []
        card.get_by_role("button", name="Cancel").click()
        card.get_by_role("button", name="Delete").click()
        card.get_by_text("cancelled", exact=False).first.wait_for()
        assert "its index is missing" not in card.inner_text()
        [upload] = httpx2.get(f"{server.url}/api/chunked-upload/").json()["uploads"]
        assert upload["state"] == "cancelled"
