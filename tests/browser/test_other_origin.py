"""The page comes from one origin, its API from another, with cookies and a narrow ingress."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.browser.application import application, check_arrived, refusals_of_nginx, replaced
from tests.browser.conftest import OpenTab
from tests.examples.edits import SERVER
from tests.examples.running import Example

pytestmark = [pytest.mark.slow, pytest.mark.nginx]

PAGES, API = "app.wherry.test", "api.wherry.test"
#: As it has to be for pages of another origin, and nothing more: no header is exposed.
CORS = f"""
from fastapi.middleware.cors import CORSMiddleware
app.add_middleware(
    CORSMiddleware,
    allow_origin_regex=r"http://{PAGES}:[0-9]+",
    allow_methods=["GET", "POST"],
    allow_credentials=True,
)
"""
ABROAD = "client.uploadVideoChunked(file, onProgress, { endpoint: 'URL', credentials: 'include' })"


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    added = f"app.include_router(api_router){CORS}"
    changes = replaced(SERVER, "app.include_router(api_router)", added)
    with application(limit="256k", changes=changes) as example:
        yield example


def test_an_upload_to_another_origin_needs_no_header_that_browsers_hide(
    example: Example, open_tab: OpenTab, film: Path
) -> None:
    port = httpx2.URL(example.url).port
    pages, api = (f"http://{name}:{port}" for name in (PAGES, API))
    # For its own pages bob is signed in, for the API it is alice: whose video is it?
    tab = open_tab(example, "bob", url=pages)
    for field, value in example.sign_in("alice").items():
        tab.context.add_cookies([{"name": field, "value": value, "url": api}])
    tab.choose(film)
    tab.begin(ABROAD.replace("URL", f"{api}/api"))
    result = tab.result()
    check_arrived(example, result, film)
    url = f"{example.url}/api/assessments/{result['assessment_id']}"
    for name, status in (("alice", 200), ("bob", 404)):
        assert httpx2.get(url, cookies=example.sign_in(name)).status_code == status
    # The browser did not let the page see these refusals.
    assert refusals_of_nginx(example) > 0
