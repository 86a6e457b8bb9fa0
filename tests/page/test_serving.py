"""How the page is served: public, strict, cached, and below any path."""

from __future__ import annotations

import gzip
import html
import json
import re
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest
from fastapi import FastAPI
from tests.web.conftest import STATIC

from wherry.auth import Keys, keys_file
from wherry.protocols.page import page_router
from wherry.server import create_app
from wherry.settings import Settings

pytestmark = pytest.mark.anyio


def asking(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost")


def standalone(data: Path) -> FastAPI:
    return create_app(Settings(data=data, assessment=False), "127.0.0.1")


def linked(document: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', document)


async def test_the_page_is_for_everybody_also_where_the_api_asks_for_a_key(tmp_path: Path) -> None:
    Keys(keys_file(tmp_path)).add("alice")
    async with asking(standalone(tmp_path)) as client:
        answer = await client.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert '<meta name="wherry-api" content="api/" />' in answer.text
        assert '<meta name="wherry-login" content="key" />' in answer.text
        assert '<meta name="wherry-keep" content="files" />' in answer.text
        assert (await client.get("/api/chunked-upload/")).status_code == 401


async def test_everything_the_page_links_to_is_there_and_kept_for_ever(tmp_path: Path) -> None:
    async with asking(standalone(tmp_path)) as client:
        names = linked((await client.get("/")).text)
        assert len(names) >= 3
        for name in names:
            answer = await client.get(urljoin("/", name))
            assert answer.status_code == 200, name
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        kinds = {name.rpartition(".")[2] for name in names}
        assert kinds == {"js", "css", "svg"}


async def test_every_answer_is_strict(tmp_path: Path) -> None:
    async with asking(standalone(tmp_path)) as client:
        document = await client.get("/")
        for path in ("/", *linked(document.text)):
            headers = (await client.get(urljoin("/", path))).headers
            assert headers["content-security-policy"] == (
                "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
                "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
            )
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", document.text)
        assert "://" not in document.text


async def test_the_document_is_asked_for_again_and_costs_nothing_then(tmp_path: Path) -> None:
    async with asking(standalone(tmp_path)) as client:
        first = await client.get("/")
        assert first.headers["cache-control"] == "no-cache"
        again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await client.get("/", headers={"If-None-Match": 'W/"other"'})
        assert other.status_code == 200


async def test_it_is_compressed_for_those_who_take_that(tmp_path: Path) -> None:
    async with asking(standalone(tmp_path)) as client:
        plain = await client.get("/", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        async with client.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert gzip.decompress(raw) == plain.content
        assert plain.headers["vary"] == "Accept-Encoding"


async def test_head_is_answered_without_a_body(tmp_path: Path) -> None:
    async with asking(standalone(tmp_path)) as client:
        answer = await client.head("/")
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("name", ["none.js", "..%2Fpage.html", "page.html", "%00"])
async def test_nothing_else_is_there(tmp_path: Path, name: str) -> None:
    async with asking(standalone(tmp_path)) as client:
        answer = await client.get(f"/assets/{name}")
        assert answer.status_code == 404


async def test_a_host_application_has_it_where_it_likes() -> None:
    host = FastAPI()
    host.include_router(page_router(api="../api/"), prefix="/uploads")
    async with asking(host) as client:
        document = await client.get("/uploads/")
        assert '<meta name="wherry-api" content="../api/" />' in document.text
        assert '<meta name="wherry-login" content="host" />' in document.text
        for name in linked(document.text):
            assert (await client.get(urljoin("/uploads/", name))).status_code == 200
    assert "/uploads/" not in host.openapi()["paths"]


async def test_a_server_can_forbid_the_browser_to_keep_files(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, assessment=False, page_keeps_files=False)
    async with asking(create_app(settings, "127.0.0.1")) as client:
        assert '<meta name="wherry-keep" content="nothing" />' in (await client.get("/")).text


async def test_a_server_can_have_details_asked_for(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, assessment=False, page_fields=("Title", 'A "B"'))
    async with asking(create_app(settings, "127.0.0.1")) as client:
        document = (await client.get("/")).text
    [asked] = re.findall('<meta name="wherry-fields" content="([^"]*)" />', document)
    assert json.loads(html.unescape(asked)) == ["Title", 'A "B"']


async def test_an_address_cannot_break_out_of_the_document() -> None:
    host = FastAPI()
    host.include_router(page_router(api='"><script>\\1'))
    async with asking(host) as client:
        assert 'content="&quot;&gt;&lt;script&gt;\\1"' in (await client.get("/")).text


async def test_a_page_that_may_send_parts_to_a_store_may_connect_to_it_and_to_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    pytest.importorskip("botocore")
    settings = Settings(
        data=tmp_path,
        assessment=False,
        storage="s3://bucket/videos",
        s3_endpoint="http://inside.example:7070",
        s3_public_endpoint="https://store.example.org",
        direct_uploads=True,
    )
    async with asking(create_app(settings, "127.0.0.1")) as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert policy.endswith("; connect-src 'self' https://store.example.org")
    host = FastAPI()
    host.include_router(page_router(api="../api/", store="https://store.example.org"))
    async with asking(host) as client:
        assert (await client.get("/")).headers["content-security-policy"] == policy


async def test_only_the_worker_of_the_player_may_act_for_the_page_above_it() -> None:
    app = FastAPI()
    app.include_router(page_router(), prefix="/below/a/path")
    scripts = [each.name for each in (STATIC / "page" / "assets").glob("*.js")]
    assert len(scripts) > 3
    async with asking(app) as client:
        for name in scripts:
            address = f"/below/a/path/assets/{name}"
            allowed = (await client.get(address)).headers.get("service-worker-allowed")
            if name.startswith("mediaWorker"):
                assert allowed is not None
                assert urljoin(address, allowed) == "/below/a/path/"
            else:
                assert allowed is None, name
