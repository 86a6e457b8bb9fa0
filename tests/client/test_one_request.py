"""The smart upload: one request for what is small, chunks where that is refused."""

from __future__ import annotations

import httpx2
import pytest
from tests.client.conftest import File
from tests.client.fake import Broken, FakeServer, Reply, nth, page, problem

from wherry.client import (
    AnswerLost,
    AsyncClient,
    Refused,
    ServerFailed,
    TooLarge,
    Unauthorized,
)
from wherry.core.limits import KiB, MiB

pytestmark = pytest.mark.anyio


async def test_a_small_file_goes_in_one_ordinary_request(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(3 * MiB)
    done = await client.upload(path, filename="Ä 'b'.mp4")
    assert [asked.path for asked in server.asked] == ["/api/chunked-upload/upload"]
    assert bytes(server.only.data) == path.read_bytes()
    assert server.only.filename == "Ä 'b'.mp4"
    assert (done.assessment_id, done.requests, done.bytes_sent) == ("of-upload-0", 1, 3 * MiB)


async def test_a_small_file_refused_for_its_size_goes_on_in_chunks(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.max_body = MiB
    path = file(5 * MiB)
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert server.statuses("upload") == [413]
    assert done.refused == 3
    assert server.statuses("chunk").count(413) == 2


async def test_after_a_refusal_what_is_larger_is_not_tried_in_one_request(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.max_body = MiB
    await client.upload(file(5 * MiB))
    server.asked.clear()
    await client.upload(file(4 * MiB))
    assert server.verbs("upload") == []
    await client.upload(file(600 * KiB))
    assert len(server.verbs("upload")) == 1


async def test_a_file_that_the_server_never_takes_is_not_tried_in_chunks(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: problem(413, "too-large", scope="file", limit=5)
    with pytest.raises(TooLarge):
        await client.upload(file(3 * MiB))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (page(500), ServerFailed),
        (page(502), ServerFailed),
        (page(403), Unauthorized),
        (problem(415, "type-refused"), Refused),
    ],
)
async def test_any_other_refusal_of_the_one_request_is_raised(
    client: AsyncClient, server: FakeServer, file: File, answer: Reply, kind: type[Exception]
) -> None:
    server.trouble = lambda asked: answer
    with pytest.raises(kind):
        await client.upload(file(3 * MiB))
    assert len(server.asked) == 1


async def test_a_lost_answer_to_the_one_request_is_told_and_not_sent_twice(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    transport.after = lambda request: httpx2.ReadError("gone")
    with pytest.raises(AnswerLost):
        await client.upload(file(3 * MiB))
    assert len(server.uploads) == 1


async def test_where_nothing_was_sent_chunks_may_follow(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    errors: list[Exception] = [httpx2.ConnectError("no")]
    transport.before = lambda request: errors.pop() if errors else None
    await client.upload(file(3 * MiB))
    assert [asked.verb for asked in server.asked] == ["init", "chunk", "complete"]


async def test_no_room_for_the_one_request_is_waited_for_in_chunks(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = nth("upload", 1, problem(503, "no-room", retryable=True, retry_after=0.01))
    await client.upload(file(3 * MiB))
    assert server.only.state == "complete"


async def test_without_smart_even_a_small_file_goes_in_chunks(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    await client.upload(file(10), smart=False)
    assert [asked.verb for asked in server.asked] == ["init", "chunk", "complete"]


async def test_metadata_goes_with_chunks_because_one_request_cannot_carry_it(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    await client.upload(file(10), metadata={"shelf": "b"})
    assert server.verbs("upload") == []
    assert server.only.metadata == {"shelf": "b"}
