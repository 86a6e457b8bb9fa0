"""The ordinary upload: one request, one file, the same engine."""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path

import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve
from tests.protocols.problems import problem

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(shared: httpx2.AsyncClient) -> httpx2.AsyncClient:
    return shared


DATA = random.Random(3).randbytes(300 * KiB)


async def stored(client: httpx2.AsyncClient, answer: httpx2.Response) -> bytes:
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "complete"
    assert answer.json()["size"] == len(
        (await client.get(f"/chunked-upload/files/{answer.json()['upload_id']}")).content
    )
    return (await client.get(f"/chunked-upload/files/{answer.json()['upload_id']}")).content


@pytest.mark.parametrize("size", [0, 1, 1000, len(DATA)])
async def test_a_form_brings_a_file_of_any_size(client: httpx2.AsyncClient, size: int) -> None:
    answer = await client.post(
        "/chunked-upload/upload", files={"file": ("film.mp4", DATA[:size], "video/mp4")}
    )
    assert await stored(client, answer) == DATA[:size]


@pytest.mark.parametrize("data", [b"\r\n--", b"--b\r\n", b"\r\n" * 99, b"-" * 5000, DATA + b"\r"])
async def test_a_file_may_look_like_the_end_of_a_form(
    client: httpx2.AsyncClient, data: bytes
) -> None:
    answer = await client.post("/chunked-upload/upload", files={"file": ("film.mp4", data)})
    assert await stored(client, answer) == data


async def test_a_raw_body_brings_a_file_named_in_the_header(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/chunked-upload/upload",
        content=DATA,
        headers={"Content-Disposition": "attachment; filename*=UTF-8''caf%C3%A9.mp4"},
    )
    assert await stored(client, answer) == DATA
    status = await client.get(f"/chunked-upload/{answer.json()['upload_id']}")
    assert status.json()["filename"] == "café.mp4"


async def test_a_form_reserves_no_more_than_it_brings(
    alone: httpx2.AsyncClient, tmp_path: Path
) -> None:
    answer = await alone.post("/chunked-upload/upload", files={"file": ("film.mp4", DATA)})
    [file] = (tmp_path / "files").iterdir()
    assert file.stat().st_size == len(DATA) == answer.json()["size"]
    assert list((tmp_path / "temp_chunks").iterdir()) == []


@pytest.mark.parametrize("size", [1000, len(DATA)])
async def test_the_log_has_the_size_of_a_forms_file(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    caplog.set_level("INFO", "wherry")
    await client.post("/chunked-upload/upload", files={"file": ("film.mp4", DATA[:size])})
    [line] = [text for text in caplog.messages if text.startswith("complete ")]
    assert f" bytes={size} " in line


async def test_a_form_without_the_file_is_refused(client: httpx2.AsyncClient) -> None:
    problem(
        await client.post("/chunked-upload/upload", files={"other": ("a.mp4", DATA)}),
        400,
        "bad-request",
    )
    answer = await client.post(
        "/chunked-upload/upload", content=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    problem(answer, 400, "bad-request")
    answer = await client.post(
        "/chunked-upload/upload",
        content=b"x" * 9,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    problem(answer, 400, "bad-request")


async def test_a_raw_body_without_a_name_is_refused(client: httpx2.AsyncClient) -> None:
    problem(await client.post("/chunked-upload/upload", content=DATA), 400, "bad-request")


async def test_a_file_above_max_size_leaves_nothing(serve: Serve, tmp_path: Path) -> None:
    async with serve(max_size=1000) as client:
        answer = await client.post("/chunked-upload/upload", files={"file": ("film.mp4", DATA)})
        assert problem(answer, 413, "too-large")["scope"] == "file"
        assert list((tmp_path / "temp_chunks").iterdir()) == []


async def test_a_refused_type_leaves_nothing(serve: Serve, tmp_path: Path) -> None:
    async with serve(allowed_types=("video/*",)) as client:
        for data in (b"%PDF-1.7", b"%PDF-1.7" + DATA):
            answer = await client.post("/chunked-upload/upload", files={"file": ("film.mp4", data)})
            problem(answer, 415, "type-refused")
        assert list((tmp_path / "temp_chunks").iterdir()) == []
        assert list((tmp_path / "files").iterdir()) == []


async def test_many_fields_before_the_file_are_too_much(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/chunked-upload/upload", data={"note": "x" * 70_000}, files={"file": ("film.mp4", DATA)}
    )
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize("ending", ["\r\n--b--\r\n", "\r\n--b--"])
@pytest.mark.parametrize(("size", "status"), [(999, 200), (1000, 200), (1001, 413)])
async def test_the_envelope_of_a_form_does_not_count_for_the_size_of_its_file(
    serve: Serve, size: int, status: int, ending: str
) -> None:
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    async with serve(max_size=1000) as client:
        answer = await client.post(
            "/chunked-upload/upload",
            content=head.encode() + DATA[:size] + ending.encode(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == status, answer.text


async def test_a_form_with_fields_behind_the_file_leaves_nothing(
    alone: httpx2.AsyncClient, tmp_path: Path
) -> None:
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    late = '\r\n--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n'
    answer = await alone.post(
        "/chunked-upload/upload",
        content=head.encode() + DATA + late.encode(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    problem(answer, 400, "bad-request")
    assert [*(tmp_path / "temp_chunks").iterdir(), *(tmp_path / "files").iterdir()] == []


NAMED = {"Content-Disposition": 'attachment; filename="film.mp4"'}
LARGE = DATA * 5


@pytest.mark.parametrize("data", [DATA, LARGE])
async def test_a_raw_body_is_checked_by_its_digest(
    alone: httpx2.AsyncClient, tmp_path: Path, data: bytes
) -> None:
    right = base64.b64encode(hashlib.sha256(data).digest()).decode()
    headers = {**NAMED, "Content-Digest": f"sha-256=:{right}:"}
    answer = await alone.post("/chunked-upload/upload", content=data, headers=headers)
    assert await stored(alone, answer) == data
    answer = await alone.post("/chunked-upload/upload", content=data[::-1], headers=headers)
    problem(answer, 422, "digest-mismatch")
    assert list((tmp_path / "temp_chunks").iterdir()) == []
    assert len(list((tmp_path / "files").iterdir())) == 1
    headers["Content-Digest"] = "sha-256=:AAAA:"
    problem(
        await alone.post("/chunked-upload/upload", content=data, headers=headers),
        400,
        "bad-request",
    )


@pytest.mark.parametrize("data", [b"", DATA, LARGE])
async def test_a_repeated_request_gets_the_same_answer(
    alone: httpx2.AsyncClient, tmp_path: Path, data: bytes
) -> None:
    key = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
    asked = await alone.post("/chunked-upload/upload", headers=key)
    assert problem(asked, 400, "bad-request")["field"] == "idempotency-key"
    first = await alone.post("/chunked-upload/upload", content=data, headers=NAMED | key)
    assert await stored(alone, first) == data
    form = {"file": ("film.mp4", data)}
    for again in (
        await alone.post("/chunked-upload/upload", content=data, headers=NAMED | key),
        await alone.post("/chunked-upload/upload", files=form, headers=key),
        await alone.post("/chunked-upload/upload", headers=key),
        await alone.post("/chunked-upload/upload?fingerprint=f", content=data, headers=NAMED | key),
    ):
        assert (again.status_code, again.json()) == (200, first.json())
    assert len(list((tmp_path / "files").iterdir())) == 1
    bob = {"Authorization": "Bearer bob"}
    problem(await alone.post("/chunked-upload/upload", headers=key | bob), 400, "bad-request")
    theirs = await alone.post("/chunked-upload/upload", content=data, headers=NAMED | key | bob)
    assert theirs.status_code == 200
    assert theirs.json()["upload_id"] != first.json()["upload_id"]


async def test_a_key_that_was_used_for_another_file_is_refused(client: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": '"k"'}
    first = await client.post("/chunked-upload/upload", content=DATA, headers=NAMED | key)
    assert await stored(client, first) == DATA
    for data, code in ((DATA[1:], "length-mismatch"), (DATA[::-1], "digest-differs")):
        other = await client.post("/chunked-upload/upload", content=data, headers=NAMED | key)
        problem(other, 409, code)


@pytest.mark.parametrize("key", ["k", '""', '"k', "1", ":YWJj:", '"a", "b"', f'"{"k" * 256}"'])
async def test_a_malformed_key_is_refused(client: httpx2.AsyncClient, key: str) -> None:
    answer = await client.post(
        "/chunked-upload/upload", content=DATA, headers=NAMED | {"Idempotency-Key": key}
    )
    assert problem(answer, 400, "bad-request")["field"] == "idempotency-key"
