"""The route that tells a page what to measure next, and what it has measured."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import Serve

from wherry.protocols.examination import MOST_REQUESTS
from wherry.protocols.parsing import JSON_LIMIT

pytestmark = pytest.mark.anyio
KiB, MiB = 1 << 10, 1 << 20
EXAMINATION, PROBE = "/chunked-upload/examination", "/chunked-upload/probe"
PAGE = b"<html><script>alert(1)</script><hr><center>nginx/1.22.1</center>"
MANY = [f"x-{number}" for number in range(33)]
HEADERS = {"Server": "nginx/1.22.1", "X-Evil": "<img src=x onerror=alert(1)>"}


def told(*requests: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "url": "https://example.org/api",
        "begun": time.time(),
        "protocol": "h2",
        "requests": list(requests),
        **more,
    }


def answered(size: int, **more: Any) -> dict[str, Any]:
    return {"size": size, "began": 0.0, "end": "answer", "at": 0.01, "over_at": 0.01, **more}


def refused(size: int) -> dict[str, Any]:
    page = base64.b64encode(PAGE).decode()
    return answered(size, status=413, headers=HEADERS, page=page)


async def made(client: httpx2.AsyncClient, wanted: dict[str, Any]) -> dict[str, Any]:
    """The request that was asked for, made without anything in between."""
    begun = time.monotonic()
    answer = await client.post(
        PROBE,
        params={"drip": wanted["drip"]} if wanted["drip"] else {},
        content=bytes(wanted["size"]),
        headers={"Content-Type": wanted["content_type"]},
    )
    took = time.monotonic() - begun
    probe = answer.json()
    arrived = {name: probe[name] for name in ("bytes", "first_byte", "last_byte", "host")}
    arrived["headers"] = list(probe["headers"])
    headers = dict(answer.headers)
    times = {"at": took, "over_at": took}
    return answered(wanted["size"], status=200, headers=headers, arrived=arrived, **times)


async def examine(client: httpx2.AsyncClient, most: int = 32 * MiB) -> dict[str, Any]:
    """The last answer. Bodies above `most` bytes are refused by somebody in front."""
    requests: list[dict[str, Any]] = []
    for _ in range(MOST_REQUESTS):
        answer = await client.post(EXAMINATION, json=told(*requests))
        assert answer.status_code == 200, answer.text
        wanted = answer.json()["next"]
        if wanted is None:
            found: dict[str, Any] = answer.json()
            return found
        is_refused = wanted["size"] > most
        requests.append(refused(wanted["size"]) if is_refused else await made(client, wanted))
    raise AssertionError("it does not end")


async def test_a_page_that_does_as_it_is_told_gets_what_the_terminal_prints(
    client: httpx2.AsyncClient,
) -> None:
    found = await examine(client)
    report = found["report"]
    assert (report["schema"], report["by"], report["verdict"]) == (1, "browser", "wide")
    assert report["limit"]["sent"] == 8 * MiB
    assert report["spent"]["bytes"] <= 32 * MiB
    assert report["wherry"] == {"found": True, "authorised": True}


async def test_who_refuses_is_named_with_the_lines_to_change_and_a_letter(
    client: httpx2.AsyncClient,
) -> None:
    found = await examine(client, most=MiB)
    report = found["report"]
    assert (report["verdict"], report["front"]["proxy"]) == ("narrow", "nginx")
    assert (report["limit"]["passes"], report["limit"]["refuses"]) == (MiB, MiB + 1)
    assert "client_max_body_size" in str(report["remedies"])
    assert found["letter"].startswith("# Ingress fix required: request bodies above 1 MiB")
    assert "curl" in found["letter"]


async def test_it_wants_a_login(client: httpx2.AsyncClient) -> None:
    answer = await client.post(EXAMINATION, headers={"Authorization": ""}, json=told())
    assert answer.status_code == 401


async def test_it_counts_for_the_rate_of_requests(serve: Serve) -> None:
    async with serve(rate_requests="1/day") as client:
        found = [(await client.post(EXAMINATION, json=told())).status_code for _ in range(2)]
    assert found == [200, 429]


async def test_nothing_is_stored(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    await client.get("/chunked-upload/")  # a first request opens what a server needs
    while not (tmp_path / "line.lock").exists():  # some of it is opened beside requests
        await asyncio.sleep(0.02)
    before = sorted(tmp_path.rglob("*"))
    await client.post(EXAMINATION, json=told(refused(KiB)))
    assert sorted(tmp_path.rglob("*")) == before


async def test_a_hostile_page_comes_back_in_no_text(client: httpx2.AsyncClient) -> None:
    answer = await client.post(EXAMINATION, json=told(refused(KiB), refused(KiB)))
    assert answer.headers["content-type"] == "application/json"
    found = await examine(client, most=MiB)
    assert "script" not in str(found)
    assert "onerror" not in str(found)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://example.org/`id`"}, "url"),
        ({"url": "https://example.org/api\n# Heading"}, "url"),
        ({"url": f"https://example.org/{'a' * 2000}"}, "url"),
        ({"begun": -1}, "begun"),
        ({"protocol": "<b>"}, "protocol"),
        ({"requests": [answered(KiB)] * (MOST_REQUESTS + 1)}, "requests"),
        ({"requests": [answered(7)]}, "requests.0.size"),
        ({"requests": [answered(33 * MiB)]}, "requests.0.size"),
        ({"requests": [answered(KiB, at=-1)]}, "requests.0.at"),
        ({"requests": [answered(KiB, began=1e9)]}, "requests.0.began"),
        ({"requests": [answered(KiB, end="closed")]}, "requests.0.end"),
        ({"requests": [answered(KiB, status=99)]}, "requests.0.status"),
        ({"requests": [answered(KiB, page="A")]}, "requests.0.page"),
        ({"requests": [answered(KiB, page="A" * 8000)]}, "requests.0.page"),
        ({"requests": [answered(KiB, headers={"a": "b\nc"})]}, "requests.0.headers.a"),
        ({"requests": [answered(KiB, headers={"a": "b" * 201})]}, "requests.0.headers.a"),
        (
            {"requests": [answered(KiB, headers=dict.fromkeys(MANY, ""))]},
            "requests.0.headers",
        ),
        ({"requests": [answered(KiB, arrived={"bytes": 1})]}, "requests.0.arrived.first_byte"),
    ],
)
async def test_what_is_told_is_bounded_and_checked(
    client: httpx2.AsyncClient, change: dict[str, Any], field: str
) -> None:
    answer = await client.post(EXAMINATION, json=told() | change)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"].startswith(field)


async def test_infinite_times_are_refused(client: httpx2.AsyncClient) -> None:
    json_type = {"Content-Type": "application/json"}
    for text in ("NaN", "Infinity", "1e999"):
        body = f'{{"url": "https://example.org", "begun": {text}, "requests": []}}'
        answer = await client.post(EXAMINATION, content=body, headers=json_type)
        assert answer.status_code == 400, text


async def test_more_than_the_bound_is_refused_whole(client: httpx2.AsyncClient) -> None:
    requests = [answered(KiB, page="A" * 4000) for _ in range(MOST_REQUESTS)]
    assert len(str(requests)) > JSON_LIMIT
    answer = await client.post(EXAMINATION, json=told(*requests))
    assert (answer.status_code, answer.json()["scope"]) == (413, "request")


async def test_a_page_of_another_site_cannot_ask(client: httpx2.AsyncClient) -> None:
    answer = await client.post(EXAMINATION, content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["field"]) == (400, "content-type")
