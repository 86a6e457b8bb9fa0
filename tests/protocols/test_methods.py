"""HEAD wherever GET is, and addresses and methods that are none of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from tests.protocols.conftest import Uploading
from tests.protocols.problems import problem
from tests.server.conftest import server

from wherry.router import chunked_upload_router

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(shared: httpx2.AsyncClient) -> httpx2.AsyncClient:
    return shared


@pytest.fixture(scope="module")
async def standalone(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[httpx2.AsyncClient]:
    async with server(tmp_path_factory.mktemp("standalone")) as client:
        yield client


async def finished(client: httpx2.AsyncClient, api: str = "") -> str:
    headers = {"Content-Disposition": 'attachment; filename="a.mp4"'}
    answer = await client.post(f"{api}/chunked-upload/upload", content=b"0123", headers=headers)
    return str(answer.json()["upload_id"])


async def test_head_is_get_without_the_content(client: httpx2.AsyncClient) -> None:
    upload_id = await finished(client)
    for path in (
        f"/chunked-upload/files/{upload_id}",
        f"/chunked-upload/{upload_id}",
        "/chunked-upload/",
    ):
        got, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "content-disposition", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)
        assert head.headers["x-request-id"]
    events = await client.head(f"/chunked-upload/{upload_id}/events")
    assert events.headers["content-type"].startswith("text/event-stream")


async def test_head_of_what_is_not_there_says_so(client: httpx2.AsyncClient) -> None:
    unknown = "f" * 32
    for path in (f"/chunked-upload/files/{unknown}", f"/chunked-upload/{unknown}"):
        assert (await client.head(path)).status_code == 404
    headers = {"Authorization": ""}
    assert (await client.head(f"/chunked-upload/{unknown}", headers=headers)).status_code == 401


async def test_head_is_served_beside_the_api_too(standalone: httpx2.AsyncClient) -> None:
    upload_id = await finished(standalone, "/api")
    for path in ("/healthz", "/readyz", "/metrics", "/", f"/api/files/{upload_id}"):
        head = await standalone.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert int(head.headers["content-length"]) > 0, path


@pytest.mark.parametrize(
    "path",
    [
        "init/",
        "nothing/here",
        "a/b/c",
        f"{'f' * 32}/events/more",
        "files/",
        "files",
        "%2e%2e/x",
        "init%00",
        "é",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PROPFIND"])
async def test_an_address_that_is_none_is_a_problem_with_a_request_id(
    standalone: httpx2.AsyncClient, path: str, method: str
) -> None:
    answer = await standalone.request(
        method,
        f"/api/chunked-upload/{path}",
        headers={"X-Request-ID": "abc"},
        content=b"x" * 1000,
    )
    assert answer.status_code in (404, 405)
    problem(answer, answer.status_code, answer.json()["code"])
    assert answer.headers["x-request-id"] == "abc"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "chunk", "GET, HEAD, POST, DELETE"),  # it could be an upload's id
        ("PATCH", "f" * 32, "GET, HEAD, DELETE"),
        ("POST", f"{'f' * 32}/events", "GET, HEAD"),
        ("POST", f"files/{'f' * 32}", "GET, HEAD, DELETE"),
        ("POST", "", "GET, HEAD"),
        ("OPTIONS", "init", "GET, HEAD, POST, DELETE"),
    ],
)
async def test_a_method_that_an_address_does_not_take_is_told_those_that_it_takes(
    standalone: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await standalone.request(method, f"/api/chunked-upload/{path}")
    found = problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allowed
    assert found["allowed"] == allowed.split(", ")
    assert answer.headers["x-request-id"]


async def test_addresses_of_the_application_below_our_prefix_are_its_own(tmp_path: Path) -> None:
    router = chunked_upload_router(owner=lambda: "alice", data=tmp_path, min_free=0)
    theirs = APIRouter()
    theirs.add_api_route("/help/page", lambda: "help")
    router.include_router(theirs)
    host = FastAPI()
    host.include_router(router, prefix="/api")
    host.add_api_route("/api/chunked-upload/later/page", lambda: "later", methods=["PUT"])
    transport = httpx2.ASGITransport(host)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test/api") as client:
        assert (await client.get("/chunked-upload/help/page")).json() == "help"
        assert (await client.put("/chunked-upload/later/page")).json() == "later"
        assert (await client.get("/chunked-upload/later/page")).status_code == 405


async def test_the_standalone_server_answers_so_everywhere(standalone: httpx2.AsyncClient) -> None:
    for path in ("/api/nothing", "/api", "/api/", "/nothing", "/api/files/", "/assets/x.js"):
        answer = await standalone.get(path)
        problem(answer, 404, "not-found")
        assert answer.headers["x-request-id"]
    for path, allowed in (("/api/upload", "POST, OPTIONS"), ("/healthz", "GET, HEAD")):
        answer = await standalone.put(path, content=b"x")
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
        assert answer.headers["x-request-id"]


async def test_the_list_needs_no_slash_at_its_end(client: httpx2.AsyncClient) -> None:
    """A redirect would name the address that the server knows, not the proxy's."""
    answer = await client.get("/chunked-upload")
    assert answer.status_code == 200
    assert "uploads" in answer.json()


@pytest.mark.parametrize(
    "kind",
    [
        "Application/JSON",
        "APPLICATION/JSON; charset=UTF-8",
        "application/json;a=b",
        " application/json ",
    ],
)
async def test_json_is_json_in_any_case_and_with_parameters(upload: Uploading, kind: str) -> None:
    for path, body in (("init", '{"filename": "a", "size": 1}'), ("cancel", '{"upload_id": "x"}')):
        answer = await upload.client.post(
            f"/chunked-upload/{path}", content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code in (201, 404), answer.text


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonp", "multipart/form-data"])
async def test_what_is_not_called_json_is_refused(upload: Uploading, kind: str) -> None:
    answer = await upload.client.post(
        "/chunked-upload/init",
        content='{"filename": "a", "size": 1}',
        headers={"Content-Type": kind} if kind else {},
    )
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize(
    "kind", ["Multipart/Form-Data; boundary=b", "MULTIPART/FORM-DATA;boundary=b"]
)
async def test_a_form_is_a_form_in_any_case(client: httpx2.AsyncClient, kind: str) -> None:
    body = b'--b\r\nContent-Disposition: FORM-DATA; Name="file"; filename=a\r\n\r\n01\r\n--b--\r\n'
    headers = {"Content-Type": kind}
    answer = await client.post("/chunked-upload/upload", content=body, headers=headers)
    assert answer.json()["size"] == 2
