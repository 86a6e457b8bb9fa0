"""Bad input gets a clear answer and loses nothing; so does what comes too late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import Serve, Uploading
from tests.protocols.problems import problem
from tests.protocols.sending import CHUNK, DATA, JSON, SIZE, send_all

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(shared: httpx2.AsyncClient) -> httpx2.AsyncClient:
    return shared


@pytest.mark.parametrize(
    "size", [-1, 2**62, 2**64, "5", "+5", "1_000", 5.5, 1e3, True, None, [], "०"]
)
async def test_a_size_is_a_whole_number(upload: Uploading, size: Any) -> None:
    problem(await upload.init(size), 400, "bad-request")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a.mp4",
        "a/b",
        "a\\b",
        "C:\\x.mp4",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "x" * 10_000,
    ],
)
async def test_a_file_name_is_a_bare_name(upload: Uploading, name: str) -> None:
    problem(await upload.init(SIZE, filename=name), 400, "bad-request")


@pytest.mark.parametrize("offset", ["-1", "+5", "1_000", "0x10", "", "५", str(2**62), "9" * 40])
async def test_an_offset_is_digits(upload: Uploading, offset: str) -> None:
    upload_id = await upload.begin(SIZE)
    problem(await upload.chunk(upload_id, offset, DATA[:CHUNK]), 400, "bad-request")


@pytest.mark.parametrize("offset", [SIZE, SIZE - CHUNK + 1, 2**61])
async def test_a_chunk_outside_the_declared_size_is_refused(upload: Uploading, offset: int) -> None:
    upload_id = await upload.begin(SIZE)
    problem(await upload.chunk(upload_id, offset, DATA[:CHUNK]), 400, "range-outside")
    assert (await upload.status(upload_id)).json()["received_bytes"] == 0


async def test_a_chunk_below_the_minimum_is_refused_unless_it_is_the_end(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(SIZE)
    problem(await upload.chunk(upload_id, 0, DATA[:100]), 400, "chunk-below-minimum")
    answer = await upload.chunk(upload_id, SIZE - 100, DATA[-100:])
    assert answer.status_code == 200


async def test_a_chunk_above_the_maximum_is_too_large(serve: Serve) -> None:
    async with serve(chunk_size=CHUNK, max_chunk=CHUNK) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(SIZE)
        answer = await upload.chunk(upload_id, 0, DATA[: 2 * CHUNK])
        assert problem(answer, 413, "too-large")["scope"] == "request"


async def test_a_compressed_chunk_is_refused(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    answer = await upload.chunk(upload_id, 0, DATA[:CHUNK], content_encoding="gzip")
    problem(answer, 400, "bad-request")


async def test_form_fields_after_the_file_are_refused_and_nothing_is_stored(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(SIZE)
    boundary = "frontier"
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("upload_id", upload_id), ("offset", "0"))
    )
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="b"\r\n\r\n'
    ).encode() + DATA[:CHUNK]
    late = f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="x"\r\n\r\n1'
    body = head.encode() + file + late.encode() + f"\r\n--{boundary}--\r\n".encode()
    answer = await upload.client.post(
        "/chunked-upload/chunk",
        content=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert "after the file" in problem(answer, 400, "bad-request")["detail"]
    assert (await upload.status(upload_id)).json()["received_bytes"] == 0


@pytest.mark.parametrize("ending", ["\r\n--b--\r\n", "\r\n--b--"])
async def test_a_form_may_end_in_any_way_the_standard_allows(
    upload: Uploading, ending: str
) -> None:
    size = 2 * CHUNK
    upload_id = await upload.begin(size)
    for offset in (0, CHUNK):
        head = (
            f'--b\r\nContent-Disposition: form-data; name="upload_id"\r\n\r\n{upload_id}\r\n'
            f'--b\r\nContent-Disposition: form-data; name="offset"\r\n\r\n{offset}\r\n'
            '--b\r\nContent-Disposition: form-data; name="chunk"; filename="b"\r\n\r\n'
        )
        answer = await upload.client.post(
            "/chunked-upload/chunk",
            content=head.encode() + DATA[offset : offset + CHUNK] + ending.encode(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == 200, answer.text
    await upload.complete(upload_id)
    assert await upload.file(upload_id) == DATA[:size]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 60_000])
async def test_what_is_not_a_json_object_is_a_bad_request(
    client: httpx2.AsyncClient, body: bytes
) -> None:
    for verb in ("init", "complete", "cancel"):
        answer = await client.post(f"/chunked-upload/{verb}", content=body, headers=JSON)
        problem(answer, 400, "bad-request")


async def test_a_huge_json_body_is_too_large(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/chunked-upload/init", content=b" " * 100_000, headers=JSON)
    problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_what_another_sites_page_could_send_unasked_is_refused(
    client: httpx2.AsyncClient, kind: str
) -> None:
    for verb in ("init", "complete", "cancel"):
        answer = await client.post(
            f"/chunked-upload/{verb}",
            content=b'{"filename": "a", "size": 1}',
            headers={"Content-Type": kind} if kind else {},
        )
        assert "application/json" in problem(answer, 400, "bad-request")["detail"]


@pytest.mark.parametrize("unknown", ["0" * 32, "x", "../../etc/passwd", "%2e%2e%2f", "a" * 200])
async def test_an_unknown_upload_is_not_found(upload: Uploading, unknown: str) -> None:
    problem(await upload.chunk(unknown, 0, DATA[:CHUNK]), 404, "upload-not-found")
    problem(await upload.complete(unknown), 404, "upload-not-found")
    problem(await upload.cancel(unknown), 404, "upload-not-found")


async def test_a_cancelled_upload_is_gone_and_so_is_its_space(
    alone: httpx2.AsyncClient, tmp_path: Path
) -> None:
    upload = Uploading(alone)
    upload_id = await upload.begin(SIZE)
    await upload.chunk(upload_id, 0, DATA[:CHUNK])
    first = await upload.cancel(upload_id)
    assert first.json() == {"upload_id": upload_id, "state": "cancelled"}
    assert list((tmp_path / "temp_chunks").iterdir()) == []
    assert (await upload.cancel(upload_id)).json() == first.json()
    assert (await upload.client.delete(f"/chunked-upload/{upload_id}")).status_code == 204
    problem(await upload.chunk(upload_id, 0, DATA[:CHUNK]), 410, "upload-gone")
    problem(await upload.complete(upload_id), 410, "upload-gone")


async def test_a_complete_upload_takes_no_more_bytes_and_cannot_be_cancelled(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    await upload.complete(upload_id)
    problem(await upload.chunk(upload_id, 0, DATA[:CHUNK]), 409, "upload-closed")
    problem(await upload.cancel(upload_id), 409, "upload-closed")
    assert await upload.file(upload_id) == DATA


async def test_a_folder_removed_by_hand_is_an_expired_upload(
    alone: httpx2.AsyncClient, tmp_path: Path
) -> None:
    upload = Uploading(alone)
    upload_id = await upload.begin(SIZE)
    folder = tmp_path / "temp_chunks" / upload_id
    (folder / "data").unlink()
    folder.rmdir()
    problem(await upload.chunk(upload_id, 0, DATA[:CHUNK]), 410, "upload-gone")
    assert (await upload.status(upload_id)).json()["state"] == "expired"


async def test_after_success_nothing_is_left_but_the_finished_file(
    alone: httpx2.AsyncClient, tmp_path: Path
) -> None:
    upload = Uploading(alone)
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    await upload.complete(upload_id)
    assert list((tmp_path / "temp_chunks").iterdir()) == []
    assert [path.name for path in (tmp_path / "files").iterdir()] == [f"{upload_id}.mp4"]
