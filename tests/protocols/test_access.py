"""Nobody but its owner touches an upload, and nobody is asked after the bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, HTTPException
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry.router import chunked_upload_router

pytestmark = pytest.mark.anyio

BOB = {"Authorization": "Bearer bob"}
NOBODY = {"Authorization": ""}
DATA = b"x" * 64 * KiB


def requests(upload_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every verb that names an upload."""
    return [
        ("POST", f"/chunked-upload/chunk?upload_id={upload_id}&offset=0", {"content": DATA}),
        ("POST", "/chunked-upload/complete", {"json": {"upload_id": upload_id}}),
        ("POST", "/chunked-upload/cancel", {"json": {"upload_id": upload_id}}),
        ("GET", f"/chunked-upload/{upload_id}", {}),
        ("GET", f"/chunked-upload/{upload_id}/events", {}),
        ("DELETE", f"/chunked-upload/{upload_id}", {}),
        ("GET", f"/chunked-upload/files/{upload_id}", {}),
        ("DELETE", f"/chunked-upload/files/{upload_id}", {}),
    ]


async def test_a_foreign_upload_does_not_exist(
    upload: Uploading, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wherry")
    upload_id = await upload.begin(len(DATA))
    for method, path, content in requests(upload_id):
        answer = await upload.client.request(method, path, headers=BOB, **content)
        found = problem(answer, 404, "upload-not-found")
        assert found["detail"] == "There is no such upload."
    assert (await upload.status(upload_id)).json()["received_bytes"] == 0
    events = {record.getMessage().split()[0] for record in caplog.records}
    assert events - {"let-in"} == {"created", "refused"}


async def test_a_fingerprint_finds_only_ones_own_upload(upload: Uploading) -> None:
    upload_id = await upload.begin(10, fingerprint="f")
    wanted = {"filename": "a", "size": 10, "fingerprint": "f"}
    other = await upload.client.post("/chunked-upload/init", json=wanted, headers=BOB)
    assert other.status_code == 201
    assert other.json()["upload_id"] != upload_id


async def test_everybody_sees_their_own_uploads_and_operators_all(upload: Uploading) -> None:
    upload_id = await upload.begin(10)
    mine = await upload.client.get("/chunked-upload/")
    assert [found["upload_id"] for found in mine.json()["uploads"]] == [upload_id]
    assert (await upload.client.get("/chunked-upload/", headers=BOB)).json() == {
        "uploads": [],
        "next": None,
    }
    for path in ("/chunked-upload/all", "/chunked-upload/storage"):
        problem(await upload.client.get(path), 404, "not-found")
        answer = await upload.client.get(path, headers={"Authorization": "Bearer admin"})
        assert answer.status_code == 200
    assert answer.json()["reserved"] == 10
    assert answer.json()["uploads"] == 1


async def test_no_byte_of_a_body_is_read_before_it_is_known_who_asks(tmp_path: Path) -> None:
    """Once it is known that it is nobody, what comes is read to its end, and used for nothing."""
    read, asked = 0, []

    def nobody() -> str:
        asked.append(read)
        raise HTTPException(401)

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 1000

    host = FastAPI()
    host.include_router(chunked_upload_router(owner=nobody, data=tmp_path, assessment=False))
    transport = httpx2.ASGITransport(host)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("init", "chunk?upload_id=x&offset=0", "complete", "cancel", "upload"):
            read = 0
            answer = await client.post(f"/chunked-upload/{path}", content=body())
            assert (answer.status_code, read) == (401, 100)
    assert asked == [0] * 5
    assert list(tmp_path.iterdir()) == []


async def test_nothing_of_a_foreign_chunk_is_kept(upload: Uploading) -> None:
    """It is refused without being asked for its bytes: tests/server/test_connection.py."""
    upload_id = await upload.begin(len(DATA))
    answer = await upload.chunk(upload_id, 0, DATA, **BOB)
    problem(answer, 404, "upload-not-found")
    assert (await upload.status(upload_id)).json()["received_bytes"] == 0


async def test_what_a_client_calls_its_request_is_answered_and_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as client:
        answer = await client.get("/chunked-upload/" + "0" * 32, headers={"X-Request-ID": "abc"})
        assert answer.headers["x-request-id"] == "abc"
        assert "code=upload-not-found" in caplog.text
        assert "request_id=abc" in caplog.text
        unknown = {"upload_id": "f" * 32}
        await client.post("/chunked-upload/complete", json=unknown)
        assert f"upload_id={'f' * 32}" in caplog.text
        caplog.clear()
        await client.post("/chunked-upload/cancel", json={"upload_id": "x\nforged line"})
        assert "upload_id=- " in caplog.text
        assert "forged" not in caplog.text
        answer = await client.get("/chunked-upload/", headers={"X-Request-ID": "a b\n"})
        assert answer.headers["x-request-id"] not in ("a b", "a b\n")


@pytest.mark.parametrize("nobody", [None, ""])
async def test_an_optional_user_that_is_not_there_owns_nothing(
    tmp_path: Path, nobody: str | None
) -> None:
    host = FastAPI()
    host.include_router(
        chunked_upload_router(owner=lambda: nobody, data=tmp_path, min_free=0, assessment=False)
    )
    async with (
        host.router.lifespan_context(host),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(host), base_url="http://host") as client,
    ):
        wanted = {"filename": "a", "size": 1}
        problem(await client.post("/chunked-upload/init", json=wanted), 401, "unauthorized")


async def test_a_client_that_goes_away_or_cancels_is_no_warning(
    upload: Uploading, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wherry")
    upload_id = await upload.begin(len(DATA) * 2)
    answer = await upload.chunk(upload_id, 0, DATA, Content_Length=str(len(DATA) * 2))
    problem(answer, 400, "body-cut")
    await upload.cancel(upload_id)
    problem(await upload.chunk(upload_id, 0, DATA), 410, "upload-gone")
    assert [r.getMessage() for r in caplog.records if r.levelname != "INFO"] == []
    assert caplog.text.count("refused code=") == 2
    problem(
        await upload.chunk(upload_id, 0, DATA, Authorization="Bearer bob"), 404, "upload-not-found"
    )
    assert caplog.records[-1].levelname == "WARNING"
