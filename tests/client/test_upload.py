"""What an upload does with every kind of answer; over ASGI, without sockets."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest
from tests.client.conftest import File
from tests.client.fake import Asked, FakeServer, Reply, page, problem, reply

from wherry.client import (
    AnswerLost,
    AsyncClient,
    FileChanged,
    GaveUp,
    NotFound,
    Progress,
    Refused,
    ServerFailed,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UploadGone,
)
from wherry.client.retrying import FIRST_ANSWER, Retrying
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

pytestmark = pytest.mark.anyio

BASE = "http://test/api"


class Broken(httpx.AsyncBaseTransport):
    """Carries requests to a server, but for what `breaks` orders.

    That is an exception instead of carrying the request, or after it.
    """

    def __init__(self, server: FakeServer) -> None:
        self._inner = httpx.ASGITransport(server)
        self.before: Callable[[httpx.Request], Exception | None] = lambda request: None
        self.after: Callable[[httpx.Request], Exception | None] = lambda request: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if error := self.before(request):
            raise error
        response = await self._inner.handle_async_request(request)
        if error := self.after(request):
            raise error
        return response


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def transport(server: FakeServer) -> Broken:
    return Broken(server)


@pytest.fixture
async def client(transport: Broken) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(BASE, transport=transport) as client:
        yield client


def nth(verb: str, number: int, answer: Reply) -> Callable[[Asked], Reply | None]:
    """`answer` for the request of this verb with this number, counted from 1."""
    seen = 0

    def trouble(asked: Asked) -> Reply | None:
        nonlocal seen
        seen += asked.verb == verb
        return answer if asked.verb == verb and seen == number else None

    return trouble


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
    client: AsyncClient, server: FakeServer, file: File
) -> None:
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


async def test_a_limit_on_the_way_is_found_with_three_refusals(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.max_body = MiB
    path = file(20 * MiB)
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert (done.refused, done.chunk_size) == (3, 640 * KiB)
    assert server.statuses("chunk").count(413) == 3
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


# Trouble.


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_every_tenth_chunk_failing_does_no_harm(
    client: AsyncClient, server: FakeServer, file: File, status: int
) -> None:
    server.chunk_size = MiB

    def every_tenth(asked: Asked) -> Reply | None:
        tenth = asked.verb == "chunk" and len(server.verbs("chunk")) % 10 == 0
        return page(status) if tenth else None

    server.trouble = every_tenth
    path = file(25 * MiB)
    await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert server.statuses("chunk").count(status) == 2


async def test_a_lost_answer_costs_one_chunk_sent_twice_and_nothing_else(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    errors: list[Exception] = [httpx.ReadError("gone")]

    def lose(request: httpx.Request) -> Exception | None:
        third = len(server.verbs("chunk")) == 3
        return errors.pop() if third and errors and "/chunk?" in str(request.url) else None

    transport.after = lose
    path = file(30 * MiB)
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert (done.bytes_sent_twice, done.refused) == (5 * MiB, 0)


async def test_lost_answers_to_init_and_complete_make_no_second_upload(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    lost = {"init", "complete"}

    def lose(request: httpx.Request) -> Exception | None:
        verb = request.url.path.rsplit("/", 1)[-1]
        if verb in lost:
            lost.remove(verb)
            return httpx.RemoteProtocolError("gone")
        return None

    transport.after = lose
    done = await client.upload(file(6 * MiB))
    assert done.upload_id == server.only.id
    assert not lost


async def test_an_answer_that_is_no_json_is_tried_again_once_the_server_is_known(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = nth("chunk", 2, page(200))
    path = file(20 * MiB)
    await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()


@pytest.mark.parametrize(
    "answer", [page(200), reply(200, ["no"]), reply(200, {"state": "receiving"}), page(302)]
)
async def test_a_wrong_address_is_said_at_once(
    client: AsyncClient, server: FakeServer, file: File, answer: Reply
) -> None:
    server.trouble = lambda asked: answer
    for smart in (True, False):
        with pytest.raises(UnexpectedAnswer):
            await client.upload(file(10), smart=smart)
    assert len(server.asked) == 2


async def test_an_unknown_address_is_an_error_of_its_own(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: page(404)
    with pytest.raises(NotFound):
        await client.upload(file(6 * MiB))


async def test_a_refusal_in_the_middle_ends_the_upload_and_keeps_its_type(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    refused = problem(415, "type-refused", detail="The content is text.", hint="Send a video.")
    server.trouble = nth("chunk", 2, refused)
    with pytest.raises(Refused) as error:
        await client.upload(file(20 * MiB))
    assert (error.value.status, error.value.code) == (415, "type-refused")
    assert (error.value.detail, error.value.hint) == ("The content is text.", "Send a video.")
    assert not error.value.retryable


async def test_patience_has_an_end(transport: Broken, server: FakeServer, file: File) -> None:
    server.trouble = lambda asked: page(502) if asked.verb == "chunk" else None
    async with AsyncClient(BASE, transport=transport, patience=0.3) as client:
        with pytest.raises(GaveUp) as error:
            await client.upload(file(6 * MiB))
    assert isinstance(error.value.__cause__, ServerFailed)
    assert error.value.status == 502


async def test_a_server_that_has_answered_once_is_given_all_of_the_patience() -> None:
    async def answer() -> str:
        return "here"

    retrying = Retrying(300, lambda error, pause: None)
    assert retrying.patience.budget == FIRST_ANSWER
    assert await retrying.ask(answer) == "here"
    assert retrying.patience.budget == 300


async def test_a_full_server_is_waited_for_beyond_all_patience(
    transport: Broken, server: FakeServer, file: File
) -> None:
    answers = [problem(503, "no-room", retryable=True, retry_after=0.1)] * 5
    server.trouble = lambda asked: answers.pop() if asked.verb == "init" and answers else None
    told: list[Progress] = []
    async with AsyncClient(BASE, transport=transport, patience=0.2) as client:
        await client.upload(file(6 * MiB), on_progress=told.append)
    waiting = [progress for progress in told if progress.state == "waiting"]
    assert waiting
    assert waiting[0].retry_after == pytest.approx(0.1, abs=0.05)


async def test_a_place_in_the_line_is_shown_and_waited_for(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    line = [3, 1]

    def wait(asked: Asked) -> Reply | None:
        if asked.verb == "init" and len(server.verbs("init")) == 1:
            place = {"position": 3, "retry_after": 0.01, "upload_id": "upload-0"}
            return reply(202, {"state": "waiting", **place})
        if asked.method == "GET" and line:
            place = {"position": line.pop(), "retry_after": 0.01, "upload_id": "upload-0"}
            return reply(200, {"state": "waiting", **place})
        if asked.method == "GET":
            return reply(200, {"state": "receiving", "upload_id": "upload-0"})
        return None

    server.trouble = wait
    told: list[Progress] = []
    path = file(6 * MiB)
    await client.upload(path, on_progress=told.append)
    assert next(p.position for p in told if p.state == "waiting") == 3
    assert bytes(server.only.data) == path.read_bytes()


async def test_cancelling_the_task_leaves_the_upload_to_go_on_with(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(30 * MiB)
    with anyio.CancelScope() as scope:

        def stop(asked: Asked) -> None:
            if len(server.verbs("chunk")) == 3:
                scope.cancel()

        server.after = stop
        await client.upload(path)
    assert scope.cancelled_caught
    assert server.only.state == "receiving"
    server.after = lambda asked: None
    done = await client.upload(path)
    assert done.resumed_bytes > 0
    assert bytes(server.only.data) == path.read_bytes()


async def test_an_error_of_the_callback_reaches_the_caller_as_it_is(
    client: AsyncClient, file: File
) -> None:
    def fail(progress: Progress) -> None:
        if progress.state == "sending":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.upload(file(20 * MiB), on_progress=fail)


# Who is asking.


def needs(token: str) -> Callable[[Asked], Reply | None]:
    expected = f"Bearer {token}"
    refusal = problem(401, "unauthorized")
    return lambda asked: None if asked.headers.get("authorization") == expected else refusal


async def test_a_key_is_sent_as_a_bearer(transport: Broken, server: FakeServer, file: File) -> None:
    server.trouble = needs("secret")
    async with AsyncClient(BASE, transport=transport, key="secret") as client:
        await client.upload(file(6 * MiB))
    async with AsyncClient(BASE, transport=transport, key="wrong") as client:
        with pytest.raises(Unauthorized):
            await client.upload(file(6 * MiB))


@pytest.mark.parametrize("is_async", [True, False])
async def test_headers_are_asked_for_anew_after_a_401_and_the_upload_goes_on(
    transport: Broken, server: FakeServer, file: File, is_async: bool
) -> None:
    server.chunk_size = MiB
    given = iter(["one", "two", "three"])

    def expire(asked: Asked) -> Reply | None:
        done = len([status for status in server.statuses("chunk") if status == 200])
        return needs("one" if done < 3 else "two" if done < 9 else "three")(asked)

    def headers() -> dict[str, str]:
        return {"authorization": f"Bearer {next(given)}"}

    async def headers_later() -> dict[str, str]:
        return headers()

    server.trouble = expire
    path = file(20 * MiB)
    wanted = headers_later if is_async else headers
    async with AsyncClient(BASE, transport=transport, headers=wanted) as client:
        await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert next(given, None) is None, "asked for once for each expiry"


async def test_a_401_with_fresh_headers_is_final(
    transport: Broken, server: FakeServer, file: File
) -> None:
    server.trouble = needs("never")
    asked_for: list[str] = []

    def headers() -> dict[str, str]:
        asked_for.append("headers")
        return {}

    async with AsyncClient(BASE, transport=transport, headers=headers) as client:
        with pytest.raises(Unauthorized):
            await client.upload(file(6 * MiB))
    assert len(asked_for) == 2


# In one request.


async def test_a_small_file_goes_in_one_ordinary_request(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(3 * MiB)
    done = await client.upload(path, filename="Ä 'b'.mp4")
    assert [asked.path for asked in server.asked] == ["/api/upload"]
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
    transport.after = lambda request: httpx.ReadError("gone")
    with pytest.raises(AnswerLost):
        await client.upload(file(3 * MiB))
    assert len(server.uploads) == 1


async def test_where_nothing_was_sent_chunks_may_follow(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    errors: list[Exception] = [httpx.ConnectError("no")]
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


# Progress.


async def test_progress_never_goes_back_and_ends_with_all_bytes_safe(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.max_body = MiB
    told: list[Progress] = []
    await client.upload(file(12 * MiB), on_progress=told.append)
    safe = [progress.bytes_safe for progress in told]
    assert safe == sorted(safe)
    assert all(p.bytes_safe <= p.bytes_sent <= p.bytes_total == 12 * MiB for p in told)
    flying = [p.bytes_sent - p.bytes_safe for p in told if p.chunk_size == 640 * KiB]
    assert max(flying) <= 4 * 640 * KiB
    states = [progress.state for progress in told]
    assert states[0] == "starting"
    assert states[-2:] == ["completing", "done"]
    assert told[-1].bytes_safe == told[-1].bytes_sent == 12 * MiB
    assert told[-1].chunk_size == 640 * KiB
    refused = list(dict.fromkeys(p.refused_size for p in told))
    assert refused == [None, 5 * MiB, 2560 * KiB, 1280 * KiB]


# What there is besides.


async def test_an_upload_can_be_looked_at_and_cancelled(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = nth("chunk", 2, problem(415, "type-refused"))
    with pytest.raises(Refused):
        await client.upload(file(20 * MiB))
    status = await client.status(server.only.id)
    assert (status.state, status.size) == ("receiving", 20 * MiB)
    assert status.received_bytes == server.only.received_bytes
    await client.cancel(server.only.id)
    assert server.only.state == "cancelled"
    with pytest.raises(UploadGone):
        await client.status("unknown")


async def test_an_assessment_is_followed_step_by_step_to_its_end(
    client: AsyncClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.client.asynchronous.LOOK_EVERY", 0.001)
    step: dict[str, Any] = {"name": "probe", "state": "running", "seconds": None}
    server.assessments = [
        {"state": "queued", "steps": []},
        {"state": "running", "steps": [step]},
        {"state": "running", "steps": [step]},
        {"state": "done", "steps": [step | {"state": "done", "seconds": 0.5}], "report": {"a": 1}},
    ]
    seen: list[str] = []
    done = await client.wait_for_assessment("a", lambda now: seen.append(now.state))
    assert seen == ["queued", "running", "done"]
    assert done.report == {"a": 1}
    assert done.steps[0].seconds == 0.5


async def test_an_assessment_is_waited_for_through_a_restart_of_the_server(
    client: AsyncClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.client.asynchronous.LOOK_EVERY", 0.001)
    server.assessments = [{"state": "running"}, {"state": "failed", "problem": "died"}]
    server.trouble = nth("a", 2, page(502))
    assert (await client.wait_for_assessment("a")).problem == "died"


@pytest.mark.parametrize("address", ["", "example.org/api", "ftp://a/b", "http://a/b?c=d"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        AsyncClient(address)


async def test_json_of_a_name_that_is_no_text_still_reaches_the_server(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: problem(400, "bad-request")
    with pytest.raises(Refused):
        await client.upload(file(6 * MiB), filename="a\udcffb")
    assert json.loads(server.asked[0].body)["filename"] == "a\udcffb"
