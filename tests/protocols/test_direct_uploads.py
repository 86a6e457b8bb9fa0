"""Direct uploads over HTTP: what clients ask for, and what they are answered."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import Serve, Uploading
from tests.protocols.problems import problem

from wherry.core.digests import crc64

pytestmark = pytest.mark.anyio
PART = 5 * 1024 * 1024
DATA = random.Random(10).randbytes(2 * PART + 999)


def crc_of(number: int) -> str:
    data = DATA[(number - 1) * PART : number * PART]
    return base64.b64encode(crc64(data).to_bytes(8, "big")).decode()


@pytest.fixture
def options(s3_options: dict[str, Any]) -> dict[str, Any]:
    return {**s3_options, "direct_uploads": True}


@pytest.fixture
async def distant(serve: Serve, options: dict[str, Any]) -> AsyncIterator[Uploading]:
    async with serve(**options) as client:
        yield Uploading(client)


async def ask(upload: Uploading, upload_id: str, *parts: object) -> httpx2.Response:
    wanted = {"upload_id": upload_id, "parts": parts}
    return await upload.client.post("/chunked-upload/direct", json=wanted)


async def ask_for(upload: Uploading, upload_id: str, *numbers: int) -> httpx2.Response:
    parts = [{"number": number, "crc64nvme": crc_of(number)} for number in numbers]
    return await ask(upload, upload_id, *parts)


async def report(upload: Uploading, upload_id: str, *numbers: object) -> httpx2.Response:
    told = {"upload_id": upload_id, "parts": numbers}
    return await upload.client.post("/chunked-upload/direct/received", json=told)


async def test_a_file_whose_parts_go_to_the_store_comes_out_whole(distant: Uploading) -> None:
    begun = await distant.init(len(DATA), direct=True)
    assert begun.json()["direct"] == {"part_size": PART}
    upload_id = begun.json()["upload_id"]
    assert (await distant.chunk(upload_id, 0, DATA[:PART])).is_success
    answer = await ask_for(distant, upload_id, 3, 2)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert datetime.fromisoformat(answer.json()["expires_at"]).tzinfo is not None
    parts = answer.json()["parts"]
    assert [(part["number"], part["start"], part["end"]) for part in parts] == [
        (2, PART, 2 * PART),
        (3, 2 * PART, len(DATA)),
    ]
    for part in parts:
        assert part["headers"] == {"x-amz-checksum-crc64nvme": crc_of(part["number"])}
        async with httpx2.AsyncClient() as http:
            sent = await http.request(
                part["method"],
                part["url"],
                content=DATA[part["start"] : part["end"]],
                headers=part["headers"],
            )
        assert sent.is_success
    told = await report(distant, upload_id, 3)
    assert told.json() == {
        "received_bytes": PART + 999,
        "size": len(DATA),
        "offset": PART,
        "missing": [[PART, 2 * PART]],
    }
    assert (await ask_for(distant, upload_id, 3)).json()["parts"] == []
    for _ in range(2):
        assert (await report(distant, upload_id, 2, 3)).json()["offset"] == len(DATA)
    assert (await distant.complete(upload_id)).status_code == 200
    assert await distant.file(upload_id) == DATA


async def test_it_is_offered_to_those_who_ask_for_it_and_again_when_they_come_back(
    distant: Uploading,
) -> None:
    found = await distant.init(len(DATA), direct=True, fingerprint="same")
    again = await distant.init(len(DATA), direct=True, fingerprint="same")
    assert again.json()["upload_id"] == found.json()["upload_id"]
    assert again.json()["direct"] == {"part_size": PART}
    assert (await distant.init(len(DATA))).json()["direct"] is None
    assert (await distant.init(PART, direct=True)).json()["direct"] is None


async def test_a_server_that_does_not_offer_it_says_so(
    serve: Serve, options: dict[str, Any], upload: Uploading
) -> None:
    async with serve(**(options | {"direct_uploads": False})) as client:
        for server in (Uploading(client), upload):
            begun = await server.init(len(DATA), direct=True)
            assert begun.json()["direct"] is None
            refused = await ask_for(server, begun.json()["upload_id"], 2)
            assert problem(refused, 400, "bad-request")["field"] == "upload_id"


async def test_parts_that_are_not_there_are_named(distant: Uploading) -> None:
    upload_id = await distant.begin(len(DATA))
    refused = problem(await report(distant, upload_id, 2, 3), 409, "parts-missing")
    assert refused["parts"] == [2, 3]
    assert refused["retryable"] is True


@pytest.mark.parametrize(
    "part",
    [
        {"number": 2},
        {"number": 2, "crc64nvme": "AAAA"},
        {"number": 2, "crc64nvme": "not base64!!"},
        {"number": 0, "crc64nvme": "AAAAAAAAAAA="},
        {"number": "2", "crc64nvme": "AAAAAAAAAAA="},
        {"number": 1, "crc64nvme": "AAAAAAAAAAA="},
        {"number": 4, "crc64nvme": "AAAAAAAAAAA="},
        {"number": 10**30, "crc64nvme": "AAAAAAAAAAA="},
    ],
)
async def test_what_is_no_part_is_refused_and_named(
    distant: Uploading, part: dict[str, Any]
) -> None:
    upload_id = await distant.begin(len(DATA))
    refused = problem(await ask(distant, upload_id, part), 400, "bad-request")
    assert refused["field"].startswith("parts")


async def test_a_request_names_some_parts_and_not_too_many(distant: Uploading) -> None:
    upload_id = await distant.begin(len(DATA))
    for parts in ([], [2] * 101, ["2"], [0]):
        problem(await report(distant, upload_id, *parts), 400, "bad-request")
    problem(await ask(distant, upload_id), 400, "bad-request")


async def test_uploads_of_others_and_those_that_have_ended_are_refused(
    distant: Uploading,
) -> None:
    upload_id = await distant.begin(len(DATA))
    stranger = {"Authorization": "Bearer bob"}
    for path, wanted in (
        ("direct", [{"number": 2, "crc64nvme": crc_of(2)}]),
        ("direct/received", [2]),
    ):
        body = {"upload_id": upload_id, "parts": wanted}
        address = f"/chunked-upload/{path}"
        refused = await distant.client.post(address, json=body, headers=stranger)
        problem(refused, 404, "upload-not-found")
    await distant.cancel(upload_id)
    problem(await ask_for(distant, upload_id, 2), 410, "upload-gone")
    problem(await report(distant, upload_id, 2), 410, "upload-gone")


async def test_an_upload_in_the_queue_is_offered_it_and_has_to_wait(
    serve: Serve, options: dict[str, Any]
) -> None:
    async with serve(**options, max_open=1) as client:
        upload = Uploading(client)
        await upload.begin(len(DATA))
        waiting = await upload.init(len(DATA), direct=True)
        assert (waiting.status_code, waiting.json()["direct"]) == (202, {"part_size": PART})
        for refused in (
            await ask_for(upload, waiting.json()["upload_id"], 2),
            await report(upload, waiting.json()["upload_id"], 2),
        ):
            assert problem(refused, 429, "waiting")["position"] == 1
