"""An upload in chunks, from its first byte to its result; over ASGI, without sockets."""

from __future__ import annotations

import io
import os

import anyio
import pytest
from tests.client.conftest import File
from tests.client.fake import Asked, FakeServer, Reply, nth, problem, reply

from wherry.client import (
    AsyncClient,
    FileChanged,
    Progress,
    Refused,
    ServerFailed,
    UploadGone,
)
from wherry.client.chunk_size import NetworkPath
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_line")]


# In chunks.


async def test_a_file_arrives_in_chunks_as_it_is(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(23 * MiB + 7)
    done = await client.upload(path, metadata={"shelf": "b"})
    assert bytes(server.only.data) == path.read_bytes()
    assert (done.upload_id, done.assessment_id) == ("upload-0", "of-upload-0")
    assert (done.size, done.bytes_sent, done.bytes_sent_twice) == (23 * MiB + 7, 23 * MiB + 7, 0)
    assert (done.requests, done.refused, done.resumed_bytes) == (7, 0, 0)
    assert server.only.metadata == {"shelf": "b"}
    assert server.verbs("init")[0].json["content_type"] == "video/mp4"


async def test_completion_carries_the_digest_of_the_whole_file(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    await client.upload(file(12 * MiB))
    assert server.verbs("complete")[0].json["digest"].startswith("crc64nvme=:")


async def test_no_more_than_four_chunks_fly_and_the_first_one_alone(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    path.passed = 0
    server.chunk_size = MiB
    flying: list[int] = []

    async def hold(verb: str) -> None:
        if verb == "chunk":
            await anyio.wait_all_tasks_blocked()
            flying.append(server.at_once)

    server.hold = hold
    await client.upload(file(20 * MiB))
    assert flying[0] == 1
    assert max(flying) == 4


async def test_a_limit_on_the_way_is_found_with_one_refusal(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    path.passed, server.max_body = 0, MiB
    film = file(20 * MiB)
    done = await client.upload(film)
    assert bytes(server.only.data) == film.read_bytes()
    assert (done.refused, done.chunk_size) == (1, MiB)
    assert server.statuses("chunk").count(413) == 1
    again = await client.upload(file(21 * MiB))
    assert again.refused == 0


async def test_an_empty_file_is_an_upload_too(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    done = await client.upload(file(0), smart=False)
    assert (done.size, server.only.state, server.verbs("chunk")) == (0, "complete", [])


async def test_what_was_received_before_is_not_sent_again(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(30 * MiB)
    server.trouble = nth("chunk", 3, problem(415, "type-refused"))
    with pytest.raises(Refused):
        await client.upload(path)
    before = server.only.received_bytes
    assert before
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert done.resumed_bytes == before
    assert done.bytes_sent == 30 * MiB - before


async def test_an_upload_that_is_all_there_only_has_to_be_completed(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(8 * MiB)
    server.trouble = nth("complete", 1, problem(422, "content-refused"))
    with pytest.raises(Refused):
        await client.upload(path)
    done = await client.upload(path)
    assert (done.resumed_bytes, done.bytes_sent) == (8 * MiB, 0)
    assert server.only.state == "complete"


async def test_a_resumed_file_that_differs_from_what_was_sent_is_not_completed(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(30 * MiB)
    server.trouble = nth("chunk", 3, problem(415, "type-refused"))
    with pytest.raises(Refused):
        await client.upload(path)
    server.only.data[1000] ^= 1  # within what was received, outside what the fingerprint samples
    with pytest.raises(Refused) as refused:
        await client.upload(path)
    assert refused.value.code == "file-digest-mismatch"


async def test_ranges_that_the_server_misses_at_the_end_are_sent_again(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def forget(asked: Asked) -> Reply | None:
        if asked.verb == "complete" and len(server.verbs("complete")) == 1:
            server.only.received = [Range(0, 5 * MiB), Range(10 * MiB, 20 * MiB)]
        return None

    server.trouble = forget
    path = file(20 * MiB)
    done = await client.upload(path)
    assert server.statuses("complete") == [409, 200]
    assert done.bytes_sent_twice == 5 * MiB
    assert bytes(server.only.data) == path.read_bytes()


async def test_a_server_that_never_stops_missing_bytes_is_given_up(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    missing = problem(409, "bytes-missing", missing=[[0, 5]])
    server.trouble = lambda asked: missing if asked.verb == "complete" else None
    with pytest.raises(ServerFailed):
        await client.upload(file(6 * MiB))


async def test_completion_that_takes_long_is_asked_for_until_it_is_there(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    answers = [
        reply(202, {"upload_id": "upload-0", "state": "completing", "retry_after": 0.01}),
        problem(503, "busy", retryable=True, retry_after=0.01),
    ]
    server.trouble = lambda asked: answers.pop(0) if asked.verb == "complete" and answers else None
    done = await client.upload(file(6 * MiB))
    assert done.assessment_id == "of-upload-0"
    assert server.statuses("complete") == [202, 503, 200]


async def test_an_expired_upload_is_begun_anew_once(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def expire(asked: Asked) -> Reply | None:
        if asked.verb == "chunk" and len(server.verbs("chunk")) == 3:
            server.only.state = "expired"
        return None

    server.trouble = expire
    path = file(20 * MiB)
    done = await client.upload(path)
    assert done.upload_id == "upload-1"
    assert bytes(server.uploads["upload-1"].data) == path.read_bytes()


async def test_a_cancelled_upload_is_not_begun_anew(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def cancel(asked: Asked) -> Reply | None:
        if asked.verb == "chunk" and len(server.verbs("chunk")) == 2:
            server.only.state = "cancelled"
        return None

    server.trouble = cancel
    with pytest.raises(UploadGone):
        await client.upload(file(20 * MiB))
    assert len(server.uploads) == 1


async def test_a_file_that_changes_while_it_is_sent_is_an_error_and_cancelled(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(20 * MiB)

    def write(asked: Asked) -> Reply | None:
        if asked.verb == "chunk" and len(server.verbs("chunk")) == 2:
            os.utime(path)
        return None

    server.trouble = write
    with pytest.raises(FileChanged):
        await client.upload(path)
    assert server.only.state == "cancelled"


async def test_a_file_object_in_memory_is_sent_as_well(
    client: AsyncClient, server: FakeServer
) -> None:
    data = os.urandom(7 * MiB)
    await client.upload(io.BytesIO(data), filename="Ä b.mov")
    assert bytes(server.only.data) == data
    assert server.only.filename == "Ä b.mov"


# Progress.


async def test_progress_never_goes_back_and_ends_with_all_bytes_safe(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    path.passed, server.max_body = 0, MiB
    told: list[Progress] = []
    await client.upload(file(12 * MiB), on_progress=told.append)
    safe = [progress.bytes_safe for progress in told]
    assert safe == sorted(safe)
    assert all(p.bytes_safe <= p.bytes_sent <= p.bytes_total == 12 * MiB for p in told)
    flying = [p.bytes_sent - p.bytes_safe for p in told if p.refused_size]
    assert max(flying) <= 4 * MiB
    states = [progress.state for progress in told]
    assert states[0] == "starting"
    assert states[-2:] == ["completing", "done"]
    assert told[-1].bytes_safe == told[-1].bytes_sent == 12 * MiB
    assert told[-1].chunk_size == MiB
    refused = list(dict.fromkeys(p.refused_size for p in told))
    assert refused == [None, 2 * MiB]


async def test_a_body_that_is_refused_is_never_progress(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    path.passed, path.pace, server.max_body = 0, None, 128 * KiB
    told: list[Progress] = []
    done = await client.upload(file(500_000), on_progress=told.append)
    assert done.refused == 2, "the whole file, and a chunk of 256 KiB"
    before = [now for now in told if now.bytes_safe == 0]
    assert max(now.bytes_sent for now in before) == 0
    assert all(now.bytes_sent - now.bytes_safe <= 4 * 128 * KiB for now in told)
