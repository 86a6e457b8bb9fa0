"""The chunked API, as a client meets it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.protocols.conftest import KiB, Uploading
from tests.protocols.problems import problem
from tests.protocols.sending import CHUNK, DATA, SIZE, send_all, sha256

from wherry.core.digests import Digest, crc64

pytestmark = pytest.mark.anyio


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


async def test_a_complete_file_answers_to_its_own_digest_and_refuses_another(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(SIZE)
    await send_all(upload, upload_id)
    first = await upload.complete(upload_id)
    right, wrong = str(Digest.of_crc(crc64(DATA))), str(Digest.of_crc(1))
    for digest in (None, right):
        again = await upload.complete(upload_id, **({"digest": digest} if digest else {}))
        assert (again.status_code, again.json()) == (200, first.json())
    refused = problem(await upload.complete(upload_id, digest=wrong), 409, "digest-differs")
    assert (refused["provided"], refused["stored"]) == (wrong, right)
    assert (await upload.status(upload_id)).json()["state"] == "complete"


async def test_a_wrong_whole_file_digest_deletes_the_upload(
    upload: Uploading, tmp_path: Path
) -> None:
    upload_id = await upload.begin(SIZE, digest=str(Digest.of_crc(1)))
    await send_all(upload, upload_id)
    problem(await upload.complete(upload_id), 422, "file-digest-mismatch")
    status = (await upload.status(upload_id)).json()
    assert (status["state"], status["failure"]) == ("failed", "file-digest-mismatch")
    assert list((tmp_path / "temp_chunks").iterdir()) == []


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
