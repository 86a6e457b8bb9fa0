"""A chunk whose answer is not Wherry's: the client asks for the status before it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from tests.client.conftest import File
from tests.client.fake import BASE, Asked, Broken, FakeServer, Reply, nth, page, problem, reply

from wherry.client import AsyncClient, ClientError, Progress, Unauthorized, UploadGone
from wherry.client.chunk_size import NetworkPath
from wherry.client.errors import NotFound
from wherry.core.limits import KiB, MiB

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_line")]


def refusing(status: Reply) -> Callable[[Asked], Reply | None]:
    """A proxy that makes its own 502 of what is said to chunks, and lets `status` through."""

    def trouble(asked: Asked) -> Reply | None:
        if asked.verb == "chunk":
            return page(502)
        return status if asked.method == "GET" else None

    return trouble


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (problem(401, "unauthorized"), Unauthorized),
        (page(403), Unauthorized),
        (problem(404, "upload-not-found"), UploadGone),
        (page(404), NotFound),
        (reply(200, {"upload_id": "u", "state": "cancelled"}), UploadGone),
        (reply(200, {"upload_id": "u", "state": "failed"}), UploadGone),
    ],
)
async def test_a_refusal_behind_a_proxys_502_is_told_at_once_with_its_own_cause(
    transport: Broken, server: FakeServer, file: File, status: Reply, kind: type[ClientError]
) -> None:
    server.trouble = refusing(status)
    async with AsyncClient(BASE, transport=transport) as client:
        with pytest.raises(kind):
            await client.upload(file(11 * MiB))
    assert len(server.verbs("chunk")) == 1


async def test_bytes_that_arrived_behind_a_proxys_504_are_not_sent_again(
    client: AsyncClient, server: FakeServer, transport: Broken, file: File
) -> None:
    call, lost = server._answer, iter([True])

    def answer(asked: Asked) -> Reply:
        done = call(asked)
        return page(504) if asked.verb == "chunk" and next(lost, False) else done

    server._answer = answer  # type: ignore[method-assign]
    path = file(11 * MiB)
    done = await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert (done.bytes_sent_twice, done.refused) == (0, 0)


async def test_when_only_the_last_answer_was_lost_nothing_is_left_to_wait_for(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    path = file(11 * MiB)
    call, lost = server._answer, iter([True])

    def answer(asked: Asked) -> Reply:
        done = call(asked)
        is_last = asked.verb == "chunk" and server.only.received_bytes == path.stat().st_size
        return page(504) if is_last and next(lost, False) else done

    server._answer = answer  # type: ignore[method-assign]
    with anyio.fail_after(120):
        await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()


async def test_an_upload_that_another_client_has_brought_meanwhile_is_completed(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    path.passed, film = 0, file(11 * MiB)

    def trouble(asked: Asked) -> Reply | None:
        if asked.verb != "chunk":
            return None
        server.only.data[:] = film.read_bytes()
        server.only.state = "complete"
        return page(502)

    server.trouble = trouble
    server._complete = lambda asked: reply(200, server._done(server.only))  # type: ignore[method-assign]
    done = await client.upload(film)
    assert done.assessment_id == "of-upload-0"
    assert len(server.verbs("chunk")) == 1


async def test_an_upload_put_back_into_the_line_sends_nothing_until_it_is_its_turn(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    told: list[Progress] = []
    waits = problem(429, "waiting", retryable=True, position=2, retry_after=0.1)
    server.trouble = nth("chunk", 2, waits)
    facts, places = server._facts, iter([2, 1])

    def with_place(upload: Any) -> dict[str, Any]:
        place = next(places, None) if len(server.verbs("chunk")) > 1 else None
        return facts(upload) | {"position": place, "retry_after": 0.1}

    server._facts = with_place  # type: ignore[method-assign]
    path = file(11 * MiB)
    await client.upload(path, on_progress=lambda progress: told.append(replace(progress)))
    assert bytes(server.only.data) == path.read_bytes()
    assert {p.position for p in told if p.state == "waiting"} >= {2, 1}
    verbs = [asked.verb for asked in server.asked]
    assert verbs[3:6] == [server.only.id] * 3 or verbs[4:7] == [server.only.id] * 3


async def test_an_upload_that_is_cancelled_while_it_waits_is_not_begun_anew(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    def trouble(asked: Asked) -> Reply | None:
        state = "waiting" if asked.verb == "init" else "cancelled"
        return reply(202, {"upload_id": "u", "state": state, "retry_after": 0.01})

    server.trouble = trouble
    with pytest.raises(UploadGone):
        await client.upload(file(11 * MiB))
    assert len(server.verbs("init")) == 1


async def test_a_full_disk_is_waited_for_whatever_the_patience(
    transport: Broken, server: FakeServer, file: File
) -> None:
    left = 5

    def trouble(asked: Asked) -> Reply | None:
        nonlocal left
        left -= asked.verb == "chunk"
        full = problem(507, "disk-full", retryable=True, retry_after=0.05)
        return full if asked.verb == "chunk" and left >= 0 else None

    server.trouble = trouble
    path = file(6 * MiB)
    async with AsyncClient(BASE, transport=transport, patience=0.01) as client:
        await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()


async def test_a_connection_that_is_lost_right_after_a_refusal_says_nothing_of_the_way(
    client: AsyncClient,
    server: FakeServer,
    transport: Broken,
    file: File,
    path: NetworkPath,
) -> None:
    path.passed, server.max_body = 0, 300 * KiB
    lost = iter([True])

    def lose(request: httpx2.Request) -> Exception | None:
        refused = 413 in server.statuses("chunk")
        return httpx2.ReadError("gone") if refused and next(lost, False) else None

    transport.before = lose
    film = file(11 * MiB)
    done = await client.upload(film)
    assert bytes(server.only.data) == film.read_bytes()
    assert (done.refused, server.verbs(server.only.id)) == (1, [])
