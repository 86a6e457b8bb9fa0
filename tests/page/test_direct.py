"""Wherry's own page sends parts to the object store, as its Content-Security-Policy allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.conftest import make_file, sha256
from tests.web.direct_site import PART, direct_site

from wherry.testing.s3 import S3Server

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_page_sends_all_parts_but_the_first_to_the_store(
    page: Page, s3_server: S3Server, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "talk.mp4", 3 * PART + 1)
    chunks: list[str] = []
    page.on("request", lambda r: chunks.append(r.url) if "/chunk?" in r.url else None)
    with direct_site(s3_server, tmp_path, cors=True) as site:
        page.goto(site.url)
        page.get_by_label("Files", exact=True).set_input_files(file)
        page.get_by_text("The whole file has arrived.", exact=True).wait_for()
        assert site.stored() == {sha256(file)}
        assert site.store.sent["UploadPart"] == 2 * PART + 1
        assert chunks
