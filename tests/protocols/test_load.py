"""A process works on so many requests at once; the others are told at once to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest
from tests.protocols.conftest import Serve

from wherry.core.errors import Overloaded
from wherry.protocols.load import Load

pytestmark = pytest.mark.anyio

INIT = {"filename": "film.mp4", "size": 1000}
LONG = 120.0


class Held:
    """A body whose end does not come before `let_go` is set."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.let_go = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield bytes(400)
        self.begun.set()
        await self.let_go.wait()
        yield bytes(600)


def check_refused(answer: httpx2.Response) -> None:
    assert answer.status_code == 503
    problem = answer.json()
    assert (problem["code"], problem["retryable"]) == ("overloaded", True)
    assert answer.headers["retry-after"] == str(problem["retry_after"])


async def test_requests_that_are_too_many_are_refused_and_those_of_open_uploads_last(
    serve: Serve,
) -> None:
    async with serve(max_requests=2, min_chunk=1) as client:
        begun = (await client.post("/chunked-upload/init", json=INIT)).json()
        held = Held()
        params = {"upload_id": begun["upload_id"], "offset": 0}
        headers = {"Content-Length": "1000"}
        chunk = asyncio.ensure_future(
            client.post("/chunked-upload/chunk", params=params, content=held, headers=headers)
        )
        with anyio.fail_after(LONG):
            await held.begun.wait()
            # One of two is in flight: the other place is for what goes on with an upload.
            check_refused(await client.post("/chunked-upload/init", json=INIT))
            check_refused(await client.post("/chunked-upload/upload", content=b"file"))
            status = await client.get(f"/chunked-upload/{begun['upload_id']}")
            assert status.status_code == 200
            held.let_go.set()
            assert (await chunk).status_code == 200
            assert (await client.post("/chunked-upload/init", json=INIT)).status_code == 201


def test_half_of_the_places_are_kept_from_what_is_new() -> None:
    load = Load(4)
    with load.one_more(begins=True), load.one_more(begins=True):
        with pytest.raises(Overloaded), load.one_more(begins=True):
            pass
        with (
            load.one_more(begins=False),
            load.one_more(begins=False),
            pytest.raises(Overloaded),
            load.one_more(begins=False),
        ):
            pass
    with load.one_more(begins=True):
        pass


def test_those_that_are_refused_together_do_not_come_back_together() -> None:
    load, pauses = Load(1), list[int]()
    with load.one_more(begins=False):
        for _ in range(6):
            with pytest.raises(Overloaded) as refused, load.one_more(begins=False):
                pass
            pauses.append(refused.value.retry_after)
    assert sorted(pauses) == [1, 1, 2, 2, 3, 3]


def test_a_request_that_fails_gives_its_place_back() -> None:
    load = Load(1)
    for _ in range(3):
        with pytest.raises(RuntimeError), load.one_more(begins=True):
            raise RuntimeError


def test_without_a_limit_there_is_none() -> None:
    load = Load(None)
    for _ in range(1000):
        load.one_more(begins=True).__enter__()
