"""What an upload does with every kind of trouble; over ASGI, without sockets."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from tests.client.conftest import File
from tests.client.fake import BASE, Asked, Broken, FakeServer, Reply, nth, page, problem, reply

from wherry.client import (
    AsyncClient,
    GaveUp,
    NotFound,
    Progress,
    Refused,
    ServerFailed,
    UnexpectedAnswer,
)
from wherry.client.retrying import FIRST_ANSWER, Retrying
from wherry.core.limits import MiB

pytestmark = pytest.mark.anyio


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


async def test_a_lost_answer_costs_a_question_and_no_byte(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    errors: list[Exception] = [httpx2.ReadError("gone")]

    def lose(request: httpx2.Request) -> Exception | None:
        # The answer to the last bytes: the answer to others would tell that these have come.
        is_last = "/chunk?" in str(request.url) and server.only.received_bytes == size
        return errors.pop() if is_last and errors else None

    transport.after, size = lose, 30 * MiB
    path = file(size)
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert (done.bytes_sent_twice, done.refused) == (0, 0)
    assert len(server.verbs(server.only.id)) == 1


async def test_lost_answers_to_init_and_complete_make_no_second_upload(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    lost = {"init", "complete"}

    def lose(request: httpx2.Request) -> Exception | None:
        verb = request.url.path.rsplit("/", 1)[-1]
        if verb in lost:
            lost.remove(verb)
            return httpx2.RemoteProtocolError("gone")
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
    assert retrying.backoff.timeout == FIRST_ANSWER
    assert await retrying.ask("status", answer) == "here"
    assert retrying.backoff.timeout == 300


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
    assert waiting[0].retry_after is not None
    assert 0 <= waiting[0].retry_after <= 0.1  # of which a busy machine has let some pass


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


async def test_a_turn_that_was_missed_is_asked_for_again(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def sleep_through_it(asked: Asked) -> Reply | None:
        if asked.verb == "init" and len(server.verbs("init")) == 1:
            place = {"position": 1, "retry_after": 0.01, "upload_id": "missed"}
            return reply(202, {"state": "waiting", **place})
        if asked.verb == "missed":
            return reply(200, {"state": "expired", "upload_id": "missed"})
        return None

    server.trouble = sleep_through_it
    path = file(6 * MiB)
    await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()


async def test_bytes_before_their_turn_are_sent_again_when_it_comes(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    full = problem(429, "waiting", retryable=True, position=7, retry_after=0.05)
    answers = [full] * 5
    server.trouble = lambda asked: answers.pop() if asked.verb == "chunk" and answers else None
    told: list[Progress] = []
    path = file(6 * MiB)
    await client.upload(path, on_progress=told.append)
    assert {p.position for p in told if p.state == "waiting"} == {7}
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


@pytest.mark.parametrize("verb", ["init", "chunk", "complete", "upload"])
async def test_after_its_task_is_cancelled_no_progress_is_reported(
    client: AsyncClient, server: FakeServer, file: File, verb: str
) -> None:
    reported: list[Progress] = []
    size = 10 if verb == "upload" else 30 * MiB
    with anyio.CancelScope() as scope:

        async def stop(asked: str) -> None:
            if asked == verb:
                scope.cancel()
                reported.clear()
                await anyio.sleep(0)

        server.hold = stop
        await client.upload(file(size), on_progress=reported.append)
    assert scope.cancelled_caught
    await anyio.wait_all_tasks_blocked()
    assert reported == []


async def test_an_error_of_the_callback_reaches_the_caller_as_it_is(
    client: AsyncClient, file: File
) -> None:
    def fail(progress: Progress) -> None:
        if progress.state == "sending":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.upload(file(20 * MiB), on_progress=fail)
