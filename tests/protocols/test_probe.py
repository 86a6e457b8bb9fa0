"""The probe: what arrives of a request, and nothing stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.protocols.conftest import Serve

from wherry.protocols import probe

pytestmark = pytest.mark.anyio
PROBE = "/chunked-upload/probe"


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield bytes(size)
        await asyncio.sleep(0)


async def test_it_says_what_arrived(client: httpx2.AsyncClient) -> None:
    found = (await client.post(PROBE, content=bytes(70_000))).json()
    assert found["bytes"] == found["content_length"] == 70_000
    assert not found["is_chunked"]
    assert 0 <= found["first_byte"] <= found["last_byte"]
    assert [found["method"], found["host"]] == ["POST", "test"]


async def test_a_body_without_a_length_is_counted_as_well(client: httpx2.AsyncClient) -> None:
    found = (await client.post(PROBE, content=pieces(1000, 24))).json()
    assert [found["bytes"], found["content_length"], found["is_chunked"]] == [1024, None, True]


async def test_trailers_are_unknown_where_the_server_does_not_pass_them_on(
    client: httpx2.AsyncClient,
) -> None:
    assert (await client.post(PROBE, content=pieces(10))).json()["trailers"] is None


async def test_it_wants_a_login(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PROBE, headers={"Authorization": ""}, content=b"x")
    assert answer.status_code == 401


async def test_the_values_of_headers_that_may_be_secret_are_not_told(
    client: httpx2.AsyncClient,
) -> None:
    secrets = {
        "Cookie": "session=secret-1",
        "X-Internal-Token": "secret-2",
        "X-Api-Key": "secret-3",
    }
    answer = await client.post(PROBE, headers={**secrets, "Upload-Offset": "7"}, content=b"x")
    headers = answer.json()["headers"]
    assert "secret" not in answer.text
    assert "alice" not in answer.text
    names = ("authorization", "cookie", "x-internal-token", "x-api-key")
    assert all(headers[name] is None for name in names)
    assert headers["upload-offset"] == "7"


async def test_nothing_is_stored(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    await client.post(PROBE, content=bytes(3 << 20))
    for folder in ("files", "temp_chunks"):
        assert list((tmp_path / folder).rglob("*")) == []
    assert (await client.get("/chunked-upload/")).json()["uploads"] == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
async def test_other_methods_get_the_same_answer(client: httpx2.AsyncClient, method: str) -> None:
    answer = await client.request(method, PROBE)
    assert answer.status_code == 200
    assert answer.json()["method"] == method


async def test_a_body_above_the_limit_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PROBE, content=bytes(probe.LARGEST + 1))
    assert answer.status_code == 413
    assert answer.json()["limit"] == probe.LARGEST


async def test_a_body_without_a_length_has_a_lower_limit(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PROBE, content=pieces(probe.LARGEST_UNANNOUNCED, 1))
    assert answer.status_code == 413
    assert answer.json()["limit"] == probe.LARGEST_UNANNOUNCED


async def test_it_counts_for_the_rates_of_requests_and_bytes(serve: Serve) -> None:
    async with serve(rate_bytes="1000/day") as client:
        found = [(await client.post(PROBE, content=bytes(600))).status_code for _ in range(2)]
    assert found == [200, 429]
    async with serve(rate_requests="1/day") as client:
        found = [(await client.post(PROBE)).status_code for _ in range(2)]
    assert found == [200, 429]


async def test_more_probes_at_once_than_the_bound_are_refused(client: httpx2.AsyncClient) -> None:
    async def slow() -> httpx2.Response:
        return await client.post(PROBE, params={"wait": "2"}, content=b"x")

    held = [asyncio.create_task(slow()) for _ in range(probe.AT_ONCE)]
    while probe._Slots.taken < probe.AT_ONCE:
        await asyncio.sleep(0.01)
    refused = await client.post(PROBE, content=b"x")
    assert refused.status_code == 503
    assert refused.json()["code"] == "overloaded"
    assert {(await task).status_code for task in held} == {200}
    assert (await client.post(PROBE, content=b"x")).status_code == 200
    assert probe._Slots.taken == 0


async def test_an_answer_may_be_asked_to_come_slowly(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PROBE, params={"drip": "0.3"}, content=b"x")
    assert answer.text.startswith(" ")
    assert answer.json()["bytes"] == 1


@pytest.mark.parametrize(
    "query", [{"wait": "31"}, {"wait": "-1"}, {"drip": "nan"}, {"interim": "200"}, {"wait": "1e1"}]
)
async def test_what_it_is_asked_for_is_checked(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    answer = await client.post(PROBE, params=query, content=b"x")
    assert answer.status_code == 400
    assert answer.json()["field"] == next(iter(query))
