"""The chunked API, as a client meets it."""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry.core.digests import Digest, crc64

pytestmark = pytest.mark.anyio

SIZE = 300 * KiB
DATA = random.Random(7).randbytes(SIZE)
CHUNK = 64 * KiB
JSON = {"Content-Type": "application/json"}


def sha256(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


async def send_all(upload: Uploading, upload_id: str, data: bytes = DATA) -> None:
    for offset in range(0, len(data), CHUNK):
        answer = await upload.chunk(upload_id, offset, data[offset : offset + CHUNK])
        assert answer.status_code == 200, answer.text


async def test_a_file_in_chunks_comes_out_whole(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    done = await upload.complete(upload_id)
    assert done.json() == {"upload_id": upload_id, "assessment_id": None, "state": "complete"}
    assert await upload.file(upload_id) == DATA


async def test_init_tells_what_the_client_needs_to_know(upload: Uploading) -> None:
    answer = (await upload.init(524_288_000)).json()
    assert answer["state"] == "receiving"
    assert answer["chunk_size"] == 5_242_880
    assert answer["total_chunks"] == 100
    assert answer["limits"] == {
        "max_size": None,
        "min_chunk": 65536,
        "max_chunk": 64 * KiB * KiB,
    }
    assert answer["concurrency"] == 4
    assert answer["expires_at"].endswith("Z")


async def test_chunks_may_come_in_any_order_and_twice(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    offsets = [*range(0, SIZE, CHUNK)] * 2
    random.Random(1).shuffle(offsets)
    for offset in offsets:
        answer = await upload.chunk(upload_id, offset, DATA[offset : offset + CHUNK])
        assert answer.status_code == 200
    assert (await upload.complete(upload_id)).status_code == 200
    assert await upload.file(upload_id) == DATA


async def test_a_client_may_recut_its_chunks_at_any_time(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    await upload.chunk(upload_id, 100 * KiB, DATA[100 * KiB : 200 * KiB])
    await upload.chunk(upload_id, 50 * KiB, DATA[50 * KiB : 250 * KiB])
    answer = await upload.chunk(upload_id, 0, DATA[: 128 * KiB])
    assert answer.json() == {
        "received_bytes": 250 * KiB,
        "size": SIZE,
        "offset": 250 * KiB,
        "missing": [[250 * KiB, 300 * KiB]],
    }


async def test_received_bytes_are_never_changed_by_a_later_request(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    for offset in range(0, SIZE, CHUNK):
        size = min(CHUNK, SIZE - offset)
        assert (await upload.chunk(upload_id, offset, bytes(size))).status_code == 200
    await upload.complete(upload_id)
    assert await upload.file(upload_id) == DATA


async def test_chunk_index_counts_in_the_chunk_size_of_init(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE, chunk_size=128 * KiB)
    for index in (2, 0, 1):
        answer = await upload.client.post(
            "/chunked-upload/chunk",
            params={"upload_id": upload_id, "chunk_index": index},
            content=DATA[index * 128 * KiB : (index + 1) * 128 * KiB],
        )
        assert answer.status_code == 200, answer.text
    await upload.complete(upload_id)
    assert await upload.file(upload_id) == DATA


@pytest.mark.parametrize("field", ["offset", "chunk_index"])
async def test_a_chunk_may_come_as_a_form(upload: Uploading, field: str) -> None:
    upload_id = await upload.begin(SIZE, chunk_size=CHUNK)
    for index in range(5):
        at = index * CHUNK
        answer = await upload.client.post(
            "/chunked-upload/chunk",
            data={"upload_id": upload_id, field: index if field == "chunk_index" else at},
            files={"chunk": ("blob", DATA[at : at + CHUNK])},
        )
        assert answer.status_code == 200, answer.text
    await upload.complete(upload_id)
    assert await upload.file(upload_id) == DATA


async def test_completion_asked_for_twice_gives_the_same_answer(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    first, second = await upload.complete(upload_id), await upload.complete(upload_id)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()


async def test_completion_with_bytes_missing_names_them(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    await upload.chunk(upload_id, CHUNK, DATA[CHUNK : 2 * CHUNK])
    found = problem(await upload.complete(upload_id), 409, "bytes-missing")
    assert found["missing"] == [[0, CHUNK], [2 * CHUNK, SIZE]]
    await send_all(upload, upload_id)
    assert (await upload.complete(upload_id)).status_code == 200


async def test_an_empty_file_is_a_file(upload: Uploading) -> None:
    upload_id = await upload.begin(0)
    assert (await upload.complete(upload_id)).status_code == 200
    assert await upload.file(upload_id) == b""


# Digests.


@pytest.mark.parametrize("algorithm", ["sha-256", "crc64nvme"])
async def test_a_part_with_the_right_digest_is_kept(upload: Uploading, algorithm: str) -> None:
    upload_id = await upload.begin(CHUNK)
    data = DATA[:CHUNK]
    digest = sha256(data) if algorithm == "sha-256" else str(Digest.of_crc(crc64(data)))
    answer = await upload.chunk(upload_id, 0, data, content_digest=digest)
    assert answer.json()["received_bytes"] == CHUNK


async def test_a_part_that_fails_its_digest_is_dropped_whole(upload: Uploading) -> None:
    upload_id = await upload.begin(CHUNK)
    answer = await upload.chunk(upload_id, 0, DATA[:CHUNK], content_digest=sha256(b"other"))
    assert problem(answer, 422, "digest-mismatch")["retryable"]
    assert (await upload.status(upload_id)).json()["received_bytes"] == 0
    assert (await upload.chunk(upload_id, 0, DATA[:CHUNK])).status_code == 200


async def test_the_whole_files_digest_is_checked_without_reading_it_again(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    digest = str(Digest.of_crc(crc64(DATA)))
    assert (await upload.complete(upload_id, digest=digest)).status_code == 200
    assert (await upload.status(upload_id)).json()["digest"] == digest


async def test_a_wrong_whole_file_digest_deletes_the_upload(
    upload: Uploading, tmp_path: Path
) -> None:
    upload_id = await upload.begin(SIZE, digest=str(Digest.of_crc(1)))
    await send_all(upload, upload_id)
    problem(await upload.complete(upload_id), 422, "file-digest-mismatch")
    status = (await upload.status(upload_id)).json()
    assert (status["state"], status["failure"]) == ("failed", "file-digest-mismatch")
    assert list((tmp_path / "temp_chunks").iterdir()) == []


# Bad input.


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
        assert problem(answer, 413, "too-large")["scope"] == "chunk"


async def test_a_chunk_without_a_length_is_refused(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)

    async def pieces() -> Any:
        yield DATA[:CHUNK]

    answer = await upload.client.post(
        "/chunked-upload/chunk", params={"upload_id": upload_id, "offset": 0}, content=pieces()
    )
    problem(answer, 411, "length-required")


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
    client: httpx.AsyncClient, body: bytes
) -> None:
    for verb in ("init", "complete", "cancel"):
        answer = await client.post(f"/chunked-upload/{verb}", content=body, headers=JSON)
        problem(answer, 400, "bad-request")


async def test_a_huge_json_body_is_too_large(client: httpx.AsyncClient) -> None:
    answer = await client.post("/chunked-upload/init", content=b" " * 100_000, headers=JSON)
    problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_what_another_sites_page_could_send_unasked_is_refused(
    client: httpx.AsyncClient, kind: str
) -> None:
    for verb in ("init", "complete", "cancel"):
        answer = await client.post(
            f"/chunked-upload/{verb}",
            content=b'{"filename": "a", "size": 1}',
            headers={"Content-Type": kind} if kind else {},
        )
        assert "application/json" in problem(answer, 400, "bad-request")["detail"]


# Ends of an upload.


@pytest.mark.parametrize("unknown", ["0" * 32, "x", "../../etc/passwd", "%2e%2e%2f", "a" * 200])
async def test_an_unknown_upload_is_not_found(upload: Uploading, unknown: str) -> None:
    problem(await upload.chunk(unknown, 0, DATA[:CHUNK]), 404, "upload-not-found")
    problem(await upload.complete(unknown), 404, "upload-not-found")
    problem(await upload.cancel(unknown), 404, "upload-not-found")


async def test_a_cancelled_upload_is_gone_and_so_is_its_space(
    upload: Uploading, tmp_path: Path
) -> None:
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
    upload: Uploading, tmp_path: Path
) -> None:
    upload_id = await upload.begin(SIZE)
    folder = tmp_path / "temp_chunks" / upload_id
    (folder / "data").unlink()
    folder.rmdir()
    problem(await upload.chunk(upload_id, 0, DATA[:CHUNK]), 410, "upload-gone")
    assert (await upload.status(upload_id)).json()["state"] == "expired"


async def test_after_success_nothing_is_left_but_the_finished_file(
    upload: Uploading, tmp_path: Path
) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    await upload.complete(upload_id)
    assert list((tmp_path / "temp_chunks").iterdir()) == []
    assert [path.name for path in (tmp_path / "files").iterdir()] == [f"{upload_id}.mp4"]


# Coming back.


async def test_the_same_file_finds_its_open_upload_again(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE, fingerprint="f1")
    await upload.chunk(upload_id, 0, DATA[:CHUNK])
    again = await upload.init(SIZE, fingerprint="f1")
    assert again.status_code == 200
    assert again.json()["upload_id"] == upload_id
    assert again.json()["missing"] == [[CHUNK, SIZE]]
    other = await upload.init(SIZE, fingerprint="f2")
    assert other.status_code == 201
    other = await upload.init(SIZE + 1, fingerprint="f1")
    assert other.status_code == 201


async def test_status_lists_what_is_there_and_what_is_missing(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE)
    await upload.chunk(upload_id, CHUNK, DATA[CHUNK : 2 * CHUNK])
    status = (await upload.status(upload_id)).json()
    assert status["received"] == [[CHUNK, 2 * CHUNK]]
    assert status["missing"] == [[0, CHUNK], [2 * CHUNK, SIZE]]
    assert status["offset"] == 0


async def test_events_tell_the_state_until_it_ends(upload: Uploading) -> None:
    upload_id = await upload.begin(0)
    await upload.complete(upload_id)
    answer = await upload.client.get(f"/chunked-upload/{upload_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"state": "complete"' in answer.text


# Limits.


async def test_a_file_above_max_size_is_refused_at_once(serve: Serve) -> None:
    async with serve(max_size=1000) as client:
        found = problem(await Uploading(client).init(1001), 413, "too-large")
        assert (found["scope"], found["limit"]) == ("file", 1000)


async def test_what_can_never_fit_is_refused_at_once(serve: Serve) -> None:
    async with serve(max_reserved=1000) as client:
        problem(await Uploading(client).init(1001), 507, "never-fits")
    async with serve() as client:
        problem(await Uploading(client).init(2**60), 507, "never-fits")


@pytest.mark.parametrize(
    "limits",
    [
        {"max_open": 2},
        {"max_open_per_owner": 2},
        {"max_reserved": 2 * SIZE},
        {"max_reserved_per_owner": 2 * SIZE},
    ],
)
async def test_above_the_limits_init_says_when_to_come_back(
    serve: Serve, limits: dict[str, int]
) -> None:
    async with serve(**limits) as client:
        upload = Uploading(client)
        first = await upload.begin(SIZE)
        await upload.begin(SIZE)
        full = await upload.init(SIZE)
        assert problem(full, 503, "no-room")["retryable"]
        assert int(full.headers["retry-after"]) > 0
        await upload.cancel(first)
        await upload.begin(SIZE)


async def test_an_idle_upload_gives_its_slot_away_and_keeps_its_bytes(serve: Serve) -> None:
    async with serve(max_open=1, slot_idle=0.2) as client:
        upload = Uploading(client)
        idle = await upload.begin(SIZE)
        assert (await upload.chunk(idle, 0, DATA[:CHUNK])).status_code == 200
        problem(await upload.init(SIZE), 503, "no-room")
        await anyio.sleep(0.25)
        active = await upload.begin(SIZE)
        problem(await upload.chunk(idle, CHUNK, DATA[CHUNK : 2 * CHUNK]), 503, "no-room")
        await upload.cancel(active)
        answer = await upload.chunk(idle, CHUNK, DATA[CHUNK : 2 * CHUNK])
        assert answer.json()["offset"] == 2 * CHUNK


# Content.


async def test_a_refused_type_is_told_with_the_first_chunk_and_deleted(
    serve: Serve, tmp_path: Path
) -> None:
    async with serve(allowed_types=("video/*",)) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(SIZE)
        answer = await upload.chunk(upload_id, 0, b"%PDF-1.7" + DATA[: CHUNK - 8])
        assert problem(answer, 415, "type-refused")["found"] == "application/pdf"
        assert list((tmp_path / "temp_chunks").iterdir()) == []
        assert (await upload.status(upload_id)).json()["failure"] == "type-refused"


async def test_an_allowed_type_is_taken_whatever_the_client_calls_it(serve: Serve) -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + DATA[: CHUNK - 24]
    async with serve(allowed_types=("video/*",)) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(CHUNK, content_type="text/plain")
        assert (await upload.chunk(upload_id, 0, film)).status_code == 200
        assert (await upload.complete(upload_id)).status_code == 200


async def test_a_damaged_first_chunk_is_sent_again_and_not_taken_for_another_type(
    serve: Serve,
) -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + DATA[: CHUNK - 24]
    async with serve(allowed_types=("video/*",)) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(CHUNK)
        damaged = b"%PDF" + film[4:]
        answer = await upload.chunk(upload_id, 0, damaged, content_digest=sha256(film))
        assert problem(answer, 422, "digest-mismatch")["retryable"]
        answer = await upload.chunk(upload_id, 0, film, content_digest=sha256(film))
        assert answer.status_code == 200
        other = await upload.begin(CHUNK)
        answer = await upload.chunk(other, 0, damaged, content_digest=sha256(damaged))
        problem(answer, 415, "type-refused")


async def test_two_announced_digests_that_differ_are_refused(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE, digest=str(Digest.of_crc(crc64(DATA))))
    await send_all(upload, upload_id)
    answer = await upload.complete(upload_id, digest=str(Digest.of_crc(1)))
    problem(answer, 400, "bad-request")
    assert (await upload.complete(upload_id)).status_code == 200
