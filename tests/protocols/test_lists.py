"""Lists come in pages, each of which says where the next one begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import Serve, Uploading
from tests.protocols.problems import problem

from wherry.core.pages import LARGEST_PAGE, PAGE
from wherry.testing.catalog.many import fill

pytestmark = pytest.mark.anyio

ALL = {"Authorization": "Bearer admin"}


async def listed(client: httpx2.AsyncClient, path: str = "/", **wanted: Any) -> Any:
    answer = await client.get(f"/chunked-upload{path}", params=wanted, headers=ALL)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def walked(client: httpx2.AsyncClient, **wanted: Any) -> list[list[str]]:
    """The names of the files on each page."""
    pages: list[list[str]] = []
    after: dict[str, str] = {}
    while True:
        page = await listed(client, **wanted, **after)
        pages.append([upload["filename"] for upload in page["uploads"]])
        if page["next"] is None:
            return pages
        after = {"after": page["next"]}


async def begun(upload: Uploading, *names: str) -> list[str]:
    upload.client.headers["Authorization"] = ALL["Authorization"]
    answers = [await upload.init(1, filename=name) for name in names]
    return [answer.json()["upload_id"] for answer in answers]


async def test_pages_join_to_the_whole_list(upload: Uploading) -> None:
    await begun(upload, "a", "b", "c", "d", "e")
    assert await walked(upload.client) == [["a", "b", "c", "d", "e"]]
    assert await walked(upload.client, limit=2) == [["a", "b"], ["c", "d"], ["e"]]
    assert await walked(upload.client, limit=5) == [["a", "b", "c", "d", "e"]]
    newest = await walked(upload.client, limit=3, order="newest")
    assert newest == [["e", "d", "c"], ["b", "a"]]


async def test_a_page_follows_on_whatever_came_and_went(upload: Uploading) -> None:
    ids = await begun(upload, "a", "b", "c", "d")
    first = await listed(upload.client, limit=2)
    await upload.cancel(ids[1])
    await begun(upload, "e")
    rest = await listed(upload.client, after=first["next"], state="receiving")
    assert [found["filename"] for found in rest["uploads"]] == ["c", "d", "e"]
    assert rest["next"] is None


async def test_a_list_may_be_of_some_states_alone(upload: Uploading) -> None:
    ids = await begun(upload, "a", "b", "c")
    await upload.cancel(ids[1])
    assert await walked(upload.client, state="cancelled") == [["b"]]
    assert await walked(upload.client, state="waiting,receiving,completing") == [["a", "c"]]
    assert await walked(upload.client, state=["receiving", "cancelled"]) == [["a", "b", "c"]]
    assert await walked(upload.client, state="complete") == [[]]


async def test_without_a_limit_and_with_one_too_large_a_page_is_bounded(
    serve: Serve, tmp_path: Path
) -> None:
    fill(tmp_path / "catalog.sqlite", LARGEST_PAGE + 1, owners=2)
    async with serve() as client:
        for path in ("/", "/all"):
            page = await listed(client, path)
            assert len(page["uploads"]) == (PAGE if path == "/all" else 0)
            assert (page["next"] is None) == (path == "/")
        page = await listed(client, "/all", limit=10**9)
        assert len(page["uploads"]) == LARGEST_PAGE
        rest = await listed(client, "/all", limit=10**9, after=page["next"])
        assert (len(rest["uploads"]), rest["next"]) == (1, None)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"after": "x"}, "after"),
        ({"after": ""}, "after"),
        ({"state": "finished"}, "state"),
        ({"state": "receiving,"}, "state"),
        ({"order": "random"}, "order"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/all"])
async def test_what_cannot_be_listed_is_refused_by_name(
    client: httpx2.AsyncClient, path: str, wanted: dict[str, str], field: str
) -> None:
    answer = await client.get(f"/chunked-upload{path}", params=wanted, headers=ALL)
    assert field in problem(answer, 400, "bad-request")["detail"]
