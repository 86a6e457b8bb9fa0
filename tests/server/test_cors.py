"""Pages of other sites: those that the operator names may use the server, and read refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError
from tests.server.conftest import server

from wherry.settings import Settings

pytestmark = pytest.mark.anyio

PAGE, OTHER = "http://app.localhost:5173", "https://other.example.org"
ASKS = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization,content-type,tus-resumable,upload-offset",
}
ALLOWED = "access-control-allow-origin"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with server(tmp_path, cors_origins=f"https://app.example.org,{PAGE}") as client:
        yield client


async def test_a_page_that_is_named_may_ask_for_everything(client: httpx2.AsyncClient) -> None:
    for path in ("/files/", f"/files/{'0' * 32}", "/api/chunked-upload/chunk", "/api/upload"):
        answer = await client.options(path, headers=ASKS)
        assert answer.status_code == 200, "old browsers take no 204"
        assert answer.headers[ALLOWED] == PAGE
        assert answer.headers["access-control-max-age"] == "86400"
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        assert (
            answer.headers["access-control-allow-headers"] == ASKS["Access-Control-Request-Headers"]
        )


async def test_a_page_that_is_not_named_may_not(client: httpx2.AsyncClient) -> None:
    answer = await client.options("/files/", headers=ASKS | {"Origin": OTHER})
    assert answer.status_code == 400
    assert ALLOWED not in answer.headers
    answer = await client.options("/files/", headers={"Origin": OTHER})
    assert ALLOWED not in answer.headers


async def test_a_page_may_read_answers_and_refusals(client: httpx2.AsyncClient) -> None:
    tus = {"Origin": PAGE, "Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    answers = [
        await client.post("/files/", headers=tus),
        await client.post("/files/", headers={**tus, "Upload-Length": "x"}),
        await client.post("/files/", headers={"Origin": PAGE}),
        await client.get("/api/files/none", headers={"Origin": PAGE}),
        await client.get("/nothing", headers={"Origin": PAGE}),
    ]
    assert [answer.status_code for answer in answers] == [201, 400, 412, 404, 404]
    for answer in answers:
        assert answer.headers[ALLOWED] == PAGE
        exposed = {
            name.strip() for name in answer.headers["access-control-expose-headers"].split(",")
        }
        assert {"Location", "Upload-Offset", "Wherry-Error", "Retry-After"} <= exposed
        assert {"Upload-Limit", "Upload-Expires", "Tus-Resumable", "X-Request-ID"} <= exposed
        assert "Origin" in answer.headers["vary"]


async def test_every_header_of_ours_may_be_read(client: httpx2.AsyncClient) -> None:
    """What tus answers, whatever is added."""
    tus = {"Origin": PAGE, "Tus-Resumable": "1.0.0"}
    begun = await client.post("/files/", headers={**tus, "Upload-Length": "5"})
    url = begun.url.join(begun.headers["location"])
    for answer in (begun, await client.head(url, headers=tus), await client.options("/files/")):
        exposed = begun.headers["access-control-expose-headers"].lower()
        ours = {n for n in answer.headers if n.startswith(("upload-", "tus-", "wherry-"))}
        assert ours
        assert ours <= {name.strip() for name in exposed.split(",")}


async def test_it_is_off_where_no_page_is_named(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        answer = await client.options("/files/", headers={"Origin": PAGE})
        assert ALLOWED not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.org/", "app.example.org", "https://App.example.org", "ftp://a", "null"],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="origin"):
        Settings(cors_origins=(origin,))


def test_every_origin_may_be_named() -> None:
    assert Settings(cors_origins=("*",)).cors_origins == ("*",)
