"""Bodies whose length nobody announces, as chunked transfer coding brings them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem
from tests.protocols.sending import CHUNK, DATA, SIZE, sha256

from wherry.core.limits import MiB

pytestmark = pytest.mark.anyio

LONG = DATA * 4
RAW = {"Content-Disposition": 'attachment; filename="film.mp4"'}


async def pieces(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def form(data: bytes, field: str, **fields: object) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a form; its length is in neither."""
    request = httpx2.Request(
        "POST",
        "http://localhost/",
        data={name: str(value) for name, value in fields.items()},
        files={field: ("film.mp4", data)},
    )
    return request.read(), {"Content-Type": request.headers["Content-Type"]}


async def send(upload: Uploading, data: bytes, **query: Any) -> httpx2.Response:
    return await upload.client.post("/chunked-upload/chunk", params=query, content=pieces(data))


@pytest.mark.parametrize("size", [CHUNK, SIZE])
async def test_chunks_come_without_a_length(upload: Uploading, size: int) -> None:
    upload_id = await upload.begin(SIZE)
    for at in reversed(range(0, SIZE, size)):
        answer = await send(upload, DATA[at : at + size], upload_id=upload_id, offset=at)
        assert answer.status_code == 200, answer.text
    assert (await upload.complete(upload_id)).status_code == 200
    assert await upload.file(upload_id) == DATA


async def test_a_chunk_with_a_number_comes_without_a_length(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE, chunk_size=CHUNK)
    answer = await send(upload, DATA[CHUNK : 2 * CHUNK], upload_id=upload_id, chunk_index=1)
    assert answer.json()["missing"][0] == [0, CHUNK]
    problem(await send(upload, DATA, upload_id=upload_id, chunk_index=2), 413, "too-large")


@pytest.mark.parametrize("size", [CHUNK, SIZE])
async def test_a_form_with_a_chunk_comes_without_a_length(upload: Uploading, size: int) -> None:
    upload_id = await upload.begin(SIZE)
    for at in range(0, SIZE, size):
        body, headers = form(DATA[at : at + size], "chunk", upload_id=upload_id, offset=at)
        answer = await upload.client.post(
            "/chunked-upload/chunk", content=pieces(body), headers=headers
        )
        assert answer.status_code == 200, answer.text
    assert (await upload.complete(upload_id)).status_code == 200
    assert await upload.file(upload_id) == DATA


async def test_chunks_that_come_at_the_same_time_do_not_end_each_other(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(len(LONG), chunk_size=512 * KiB)
    starts = range(0, len(LONG), 512 * KiB)
    answers = await asyncio.gather(
        *(send(upload, LONG[at : at + 512 * KiB], upload_id=upload_id, offset=at) for at in starts)
    )
    assert [answer.status_code for answer in answers] == [200] * len(starts)
    await upload.complete(upload_id)
    assert await upload.file(upload_id) == LONG


async def test_a_digest_is_of_all_that_comes(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    where: dict[str, str | int] = {"upload_id": upload_id, "offset": 0}
    for digest, status in ((sha256(DATA[1:]), 422), (sha256(DATA), 200)):
        answer = await upload.client.post(
            "/chunked-upload/chunk",
            params=where,
            content=pieces(DATA),
            headers={"Content-Digest": digest},
        )
        assert answer.status_code == status, answer.text


async def test_more_than_the_upload_has_left_is_refused_and_not_recorded(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(SIZE)
    for data in (DATA + b"x", DATA + DATA):
        problem(await send(upload, data, upload_id=upload_id, offset=0), 400, "range-outside")
    problem(await send(upload, b"x", upload_id=upload_id, offset=SIZE), 400, "range-outside")
    assert (await upload.status(upload_id)).json()["received_bytes"] == 0


async def test_more_than_a_chunk_may_have_is_refused(serve: Serve) -> None:
    async with serve(chunk_size=CHUNK, max_chunk=CHUNK) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(SIZE)
        answer = await send(upload, DATA, upload_id=upload_id, offset=0)
        assert problem(answer, 413, "too-large")["scope"] == "request"
        answer = await send(upload, DATA[: CHUNK // 2], upload_id=upload_id, offset=0)
        problem(answer, 400, "chunk-below-minimum")


async def test_an_upload_that_is_not_there_is_not_found(upload: Uploading) -> None:
    answer = await send(upload, DATA, upload_id="a" * 32, offset=0)
    problem(answer, 404, "upload-not-found")


@pytest.mark.parametrize("size", [0, 1, len(DATA), len(LONG)])
@pytest.mark.parametrize("is_form", [False, True])
async def test_a_file_in_one_request_comes_without_a_length(
    serve: Serve, tmp_path: Path, size: int, is_form: bool
) -> None:
    body, headers = form(LONG[:size], "file") if is_form else (LONG[:size], RAW)
    async with serve(max_size=4 * MiB) as client:
        answer = await client.post("/chunked-upload/upload", content=pieces(body), headers=headers)
        assert answer.json()["size"] == size
        assert await Uploading(client).file(answer.json()["upload_id"]) == LONG[:size]
    [file] = (tmp_path / "files").iterdir()
    assert file.stat().st_size == size


@pytest.mark.parametrize("is_form", [False, True])
async def test_a_file_that_is_too_large_leaves_nothing(
    serve: Serve, tmp_path: Path, is_form: bool
) -> None:
    body, headers = form(LONG, "file") if is_form else (LONG, RAW)
    async with serve(max_size=len(LONG) - 1) as client:
        answer = await client.post("/chunked-upload/upload", content=pieces(body), headers=headers)
        problem(answer, 413, "too-large")
    assert list((tmp_path / "files").iterdir()) == []
    assert list((tmp_path / "temp_chunks").iterdir()) == []


async def test_a_long_file_needs_a_length_where_no_size_is_too_large(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.post("/chunked-upload/upload", content=pieces(LONG), headers=RAW)
    problem(answer, 411, "length-required")
    short = DATA[: 200 * KiB]
    answer = await client.post("/chunked-upload/upload", content=pieces(short), headers=RAW)
    assert answer.json()["size"] == len(short)
