"""A small file: one request, and what follows if that is refused, or its answer is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import httpx2
import pytest
from tests.client.conftest import File
from tests.client.fake import Asked, Broken, FakeServer, Reply, nth, page, problem

from wherry.client import (
    AsyncClient,
    FileChanged,
    Progress,
    Refused,
    TooLarge,
    Unauthorized,
    UploadGone,
)
from wherry.client.chunk_size import NetworkPath
from wherry.client.source import Source
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_line")]


async def test_a_small_file_goes_in_one_ordinary_request(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(3 * MiB)
    done = await client.upload(path, filename="Ä 'b'.mp4")
    assert [asked.path for asked in server.asked] == ["/api/chunked-upload/upload"]
    assert bytes(server.only.data) == path.read_bytes()
    assert server.only.filename == "Ä 'b'.mp4"
    assert (done.assessment_id, done.requests, done.bytes_sent) == ("of-upload-0", 1, 3 * MiB)


async def test_an_empty_file_goes_in_one_request_too(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    done = await client.upload(file(0))
    assert [asked.verb for asked in server.asked] == ["upload"]
    assert (done.size, server.only.state) == (0, "complete")


async def test_a_small_file_refused_for_its_size_goes_on_in_chunks(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.max_body = MiB
    path = file(5 * MiB)
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert server.statuses("upload") == [413]
    assert done.refused == 1
    assert 413 not in server.statuses("chunk")


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


async def test_a_login_that_is_refused_is_refused_for_init_too(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    server.trouble = lambda asked: page(403)
    with pytest.raises(Unauthorized):
        await client.upload(file(3 * MiB))
    assert [asked.verb for asked in server.asked] == ["upload", "init"]
    assert (path.refused, path.as_form) == (None, False)


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
        (page(401), Unauthorized),
        (problem(415, "type-refused"), Refused),
        (problem(410, "upload-gone", state="cancelled"), UploadGone),
    ],
)
async def test_a_refusal_of_the_one_request_that_is_not_for_its_size_is_raised(
    client: AsyncClient, server: FakeServer, file: File, answer: Reply, kind: type[Exception]
) -> None:
    server.trouble = lambda asked: answer
    with pytest.raises(kind):
        await client.upload(file(3 * MiB))
    assert len(server.asked) == 1


@pytest.mark.parametrize("lost", [httpx2.ReadError("gone"), httpx2.ReadTimeout("silent")])
async def test_a_lost_answer_is_asked_for_and_the_file_is_not_sent_again(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File, lost: Exception
) -> None:
    errors = [lost]
    transport.after = lambda request: errors.pop() if errors else None
    done = await client.upload(file(3 * MiB))
    assert (done.upload_id, done.assessment_id) == (server.only.id, f"of-{server.only.id}")
    assert [len(asked.body) for asked in server.asked] == [3 * MiB, 0]
    assert (done.requests, done.bytes_sent_twice, done.refused) == (2, 0, 0)


async def test_a_lost_answer_is_asked_for_until_the_server_has_received_the_file(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    errors = [httpx2.ReadError("gone")]
    transport.after = lambda request: errors.pop() if errors else None
    busy = [problem(409, "busy", retryable=True, retry_after=0.01)] * 3
    server.trouble = lambda asked: busy.pop() if busy and not asked.body else None
    await client.upload(file(3 * MiB))
    assert [len(asked.body) for asked in server.asked] == [3 * MiB, 0, 0, 0, 0]


async def test_what_did_not_arrive_is_sent_again_with_the_same_key(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    await client.upload(file(MiB))
    server.asked.clear()
    errors = [httpx2.WriteError("gone")]
    transport.before = lambda request: errors.pop() if errors else None
    await client.upload(file(MiB))
    assert [len(asked.body) for asked in server.asked] == [0, MiB]
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1


async def test_what_has_ended_without_the_file_is_sent_again_with_a_new_key(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def trouble(asked: Asked) -> Reply | None:
        if not asked.body:
            return problem(410, "upload-gone", state="cancelled")
        return page(504) if len(server.asked) == 1 else None

    server.trouble = trouble
    await client.upload(file(60 * KiB))
    sent, asked, again = (asked.headers["idempotency-key"] for asked in server.asked)
    assert sent == asked != again


async def test_a_size_that_never_passed_is_found_out_by_asking_where_the_path_resets(
    client: AsyncClient,
    server: FakeServer,
    transport: Broken,
    file: File,
    path: NetworkPath,
) -> None:
    def narrow(request: httpx2.Request) -> Exception | None:
        length = int(request.headers.get("content-length", 0))
        return httpx2.WriteError("reset") if length > 256 * KiB else None

    transport.before, path.passed = narrow, 0
    photo = file(512 * KiB)
    done = await client.upload(photo)
    assert bytes(server.only.data) == photo.read_bytes()
    assert [asked.verb for asked in server.asked[:2]] == ["upload", "init"]
    assert (done.refused, done.chunk_size) == (1, 256 * KiB)


async def test_no_size_is_blamed_while_the_server_is_away(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: page(502) if len(server.asked) <= 3 else None
    done = await client.upload(file(3 * MiB))
    assert [len(asked.body) for asked in server.asked] == [3 * MiB, 0, 0, 0, 3 * MiB]
    assert (done.refused, done.chunk_size) == (0, 5 * MiB)


@pytest.mark.parametrize("answer", [page(404), page(405), problem(404, "not-found")])
async def test_a_server_that_has_only_chunks_gets_chunks_from_then_on(
    client: AsyncClient, server: FakeServer, file: File, answer: Reply
) -> None:
    server.trouble = lambda asked: answer if asked.verb == "upload" else None
    for size in (10, 11):
        await client.upload(file(size))
    chunks = ["init", "chunk", "complete"]
    assert [asked.verb for asked in server.asked] == ["upload", *chunks, *chunks]


async def test_a_damaged_body_is_sent_again(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = nth("upload", 1, problem(422, "digest-mismatch", retryable=True))
    await client.upload(file(3 * MiB))
    assert [len(asked.body) for asked in server.asked] == [3 * MiB, 0, 3 * MiB]


async def test_a_failing_application_is_only_asked_to_complete(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def fail(asked: Asked) -> Reply | None:
        if asked.verb != "upload":
            return None
        server.trouble = lambda asked: None
        made = server._whole(asked)
        return problem(
            500, "hook-failed", retryable=True, upload_id=json.loads(made.body)["upload_id"]
        )

    server.trouble = fail
    done = await client.upload(file(3 * MiB))
    assert [asked.verb for asked in server.asked] == ["upload", "complete"]
    assert done.assessment_id == f"of-{server.only.id}"


async def test_where_nothing_was_sent_the_file_is_sent_when_there_is_a_connection(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    errors: list[Exception] = [httpx2.ConnectError("no")] * 2
    transport.before = lambda request: errors.pop() if errors else None
    await client.upload(file(3 * MiB))
    assert server.asked[-1].body
    assert server.only.state == "complete"


async def test_a_file_that_changes_while_it_is_read_is_not_sent(
    client: AsyncClient, server: FakeServer, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = file(3 * MiB), Source.read

    def read_and_touch(source: Source, wanted: Range) -> bytes:
        data = read(source, wanted)
        os.utime(path)
        return data

    monkeypatch.setattr(Source, "read", read_and_touch)
    with pytest.raises(FileChanged):
        await client.upload(path)
    assert server.asked == []


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


async def test_a_file_with_metadata_goes_as_a_form_whose_fields_come_first(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path, told = file(MiB), list[Progress]()
    about = {"shelf": "b", "straße": 'ü "1"'}
    done = await client.upload(path, filename='Ä "b".mp4', metadata=about, on_progress=told.append)
    assert [asked.verb for asked in server.asked] == ["upload"]
    assert server.only.metadata == about
    assert bytes(server.only.data) == path.read_bytes()
    assert server.only.filename in ('Ä "b".mp4', "Ä %22b%22.mp4")  # as browsers escape it
    assert (done.bytes_sent, done.bytes_sent_twice) == (MiB, 0)
    assert all(now.bytes_sent <= now.bytes_total for now in told)


# Many files.


async def test_of_many_small_files_four_are_sent_at_once(
    client: AsyncClient, server: FakeServer, tmp_path: Path
) -> None:
    sending: list[int] = []

    async def hold(verb: str) -> None:
        await anyio.wait_all_tasks_blocked()
        sending.append(server.at_once)

    server.hold = hold
    paths = [tmp_path / f"photo-{number}.jpg" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 1000)
    async with anyio.create_task_group() as tasks:
        for path in paths:
            tasks.start_soon(client.upload, path)
    assert max(sending) == 4
    sent = {upload.filename: bytes(upload.data) for upload in server.uploads.values()}
    assert sent == {path.name: path.read_bytes() for path in paths}
    assert len(server.asked) == 40


async def test_small_files_do_not_wait_for_a_large_one(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    small_is_there = anyio.Event()

    async def hold(verb: str) -> None:
        if verb == "chunk":
            with anyio.fail_after(120):
                await small_is_there.wait()

    async def send_small() -> None:
        await client.upload(file(10))
        small_is_there.set()

    server.hold = hold
    async with anyio.create_task_group() as tasks:
        for extra in range(5):
            tasks.start_soon(client.upload, file(6 * MiB + extra))
        tasks.start_soon(send_small)
    assert all(upload.state == "complete" for upload in server.uploads.values())
