"""Rates, as clients see them."""

from __future__ import annotations

import pytest
from tests.protocols.conftest import Serve

pytestmark = pytest.mark.anyio

INIT = {"filename": "film.mp4", "size": 1000}


async def test_a_refusal_says_which_rate_and_when_to_come_back(serve: Serve) -> None:
    async with serve(rate_uploads="2/hour") as client:
        for _ in range(2):
            assert (await client.post("/chunked-upload/init", json=INIT)).status_code == 201
        answer = await client.post("/chunked-upload/init", json=INIT)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1800"
    problem = answer.json()
    facts = [problem[name] for name in ("code", "retryable", "kind", "rate", "retry_after")]
    assert facts == ["rate-limited", True, "uploads", "2/hour", 1800]


async def test_every_request_of_an_owner_counts(serve: Serve) -> None:
    async with serve(rate_requests="3/day") as client:
        found = [(await client.get("/chunked-upload/")).status_code for _ in range(4)]
    assert found == [200, 200, 200, 429]


async def test_the_bytes_of_a_chunk_count(serve: Serve) -> None:
    async with serve(rate_bytes="1000/day", min_chunk=1) as client:
        begun = (await client.post("/chunked-upload/init", json=INIT)).json()

        async def send(at: int, size: int) -> int:
            params = {"upload_id": begun["upload_id"], "offset": at}
            path = "/chunked-upload/chunk"
            return (await client.post(path, params=params, content=bytes(size))).status_code

        assert [await send(0, 600), await send(600, 400), await send(0, 1)] == [200, 200, 429]
