"""What `/metrics` says, to whom, and that it is what the log says."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Header
from tests.watching.conftest import samples, value

from wherry.app.backends import open_catalog
from wherry.core.errors import every_error
from wherry.events import Event
from wherry.metrics import EVENTS, Metrics
from wherry.router import FinishedFile, chunked_upload_router
from wherry.settings import Settings

pytestmark = pytest.mark.anyio


def is_admin(authorization: Annotated[str, Header()] = "") -> bool:
    return authorization == "Bearer admin"


def router(data: Path, **options: Any) -> Any:
    settings: dict[str, Any] = {"data": data, "min_free": 0, "min_chunk": 1, "assessment": False}
    settings |= options
    return chunked_upload_router(owner=lambda: "alice", operator=is_admin, **settings)


@asynccontextmanager
async def hosting(**routers: Any) -> AsyncIterator[httpx2.AsyncClient]:
    host = FastAPI()
    for prefix, included in routers.items():
        host.include_router(included, prefix=f"/{prefix}")
    transport = httpx2.ASGITransport(host)
    async with (
        host.router.lifespan_context(host),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


async def upload(
    client: httpx2.AsyncClient, size: int, chunk: int, prefix: str = "api"
) -> httpx2.Response:
    path = f"/{prefix}/chunked-upload"
    init = await client.post(f"{path}/init", json={"filename": "a.bin", "size": size})
    upload_id = init.json()["upload_id"]
    for at in range(0, size, chunk):
        data = bytes(min(chunk, size - at))
        params: dict[str, str | int] = {"upload_id": upload_id, "offset": at}
        (await client.post(f"{path}/chunk", params=params, content=data)).raise_for_status()
    return await client.post(f"{path}/complete", json={"upload_id": upload_id})


async def scrape(client: httpx2.AsyncClient, prefix: str = "api") -> httpx2.Response:
    return await client.get(
        f"/{prefix}/chunked-upload/metrics", headers={"Authorization": "Bearer admin"}
    )


async def test_only_operators_see_them(tmp_path: Path) -> None:
    async with hosting(api=router(tmp_path)) as client:
        assert (await client.get("/api/chunked-upload/metrics")).status_code == 404
        answer = await scrape(client)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"] == "close"  # another process may answer the next


async def test_what_is_open_and_waiting_is_seen_at_once(tmp_path: Path) -> None:
    async with hosting(api=router(tmp_path, max_open=1)) as client:
        for _ in range(3):
            wanted = {"filename": "a.bin", "size": 1000}
            await client.post("/api/chunked-upload/init", json=wanted)
        found = samples((await scrape(client)).text)
    assert value(found, "uploads", state="receiving") == 1
    assert value(found, "uploads", state="waiting") == 2
    assert value(found, "waiting") == 2
    assert value(found, "open_slots") == value(found, "open_slots_limit") == 1
    assert value(found, "reserved_bytes") == 1000
    assert 0 < value(found, "volume_free_bytes") < value(found, "volume_size_bytes")


async def test_no_limit_is_infinite(tmp_path: Path) -> None:
    async with hosting(api=router(tmp_path, max_open=None)) as client:
        found = samples((await scrape(client)).text)
    assert value(found, "open_slots_limit") == float("inf")


async def test_what_happened_is_counted(tmp_path: Path) -> None:
    def on_complete(file: FinishedFile) -> str:
        if file.size == 7:
            raise RuntimeError("their database is away")
        return "theirs"

    mine = chunked_upload_router(
        owner=lambda: "alice",
        operator=is_admin,
        on_complete=on_complete,
        data=tmp_path,
        min_free=0,
        min_chunk=1,
        max_size=5000,
    )
    async with hosting(api=mine) as client:
        assert (await upload(client, 2500, chunk=1000)).json()["assessment_id"] == "theirs"
        assert (await upload(client, 7, chunk=7)).status_code == 500
        too_large = {"filename": "a.bin", "size": 5001}
        assert (await client.post("/api/chunked-upload/init", json=too_large)).status_code == 413
        begun = await client.post("/api/chunked-upload/init", json={"filename": "a", "size": 300})
        await client.delete(f"/api/chunked-upload/{begun.json()['upload_id']}")
        found = samples((await scrape(client)).text)
    assert value(found, "part_bytes_count") == value(found, "part_seconds_count") == 4
    assert value(found, "part_bytes_sum") == 2507
    counted = [event.label for event in EVENTS if event is not Event.REFUSED]
    events = {label: value(found, "events_total", event=label) for label in counted}
    assert events["created"] == 3
    assert events["recorded"] == 4
    assert (events["complete"], events["hook-failed"], events["cancelled"]) == (1, 1, 1)
    assert value(found, "complete_seconds_count") == 1
    assert value(found, "hook_seconds_count", hook="on_complete") == 1
    assert value(found, "refusals_total", code="too-large") == 1
    assert value(found, "refusals_total", code="hook-failed") == 1
    assert value(found, "freed_bytes_total", event="cancelled") == 300


async def test_a_refusal_before_the_engine_is_counted_too(tmp_path: Path) -> None:
    nobody = chunked_upload_router(owner=lambda: None, data=tmp_path / "a", assessment=False)
    async with hosting(api=router(tmp_path / "b"), none=nobody) as client:
        for _ in range(2):
            assert (await client.get("/none/chunked-upload/")).status_code == 401
        mine = samples((await scrape(client)).text)
    assert value(mine, "refusals_total", code="unauthorized") == 0  # it was the other's


async def test_two_routers_in_one_process_count_for_themselves(tmp_path: Path) -> None:
    one, two = router(tmp_path / "one"), router(tmp_path / "two")
    async with hosting(one=one, two=two) as client:
        await upload(client, 100, chunk=50, prefix="one")
        first, second = [samples((await scrape(client, at)).text) for at in ("one", "two")]
    assert value(first, "events_total", event="complete") == 1
    assert value(second, "events_total", event="complete") == 0
    assert value(second, "part_bytes_sum") == 0


async def test_the_log_and_the_counters_agree(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "wherry"):
        async with hosting(api=router(tmp_path, max_open=2, max_size=9000)) as client:
            for size in (10, 2000, 5000, 9001):
                await client.post("/api/chunked-upload/init", json={"filename": "x", "size": size})
            await upload(client, 0, chunk=1)
            for _ in range(3):
                await client.get("/api/chunked-upload/no-such-upload-at-all")
            found = samples((await scrape(client)).text)
    said = Counter(record.getMessage().split(" ")[0] for record in caplog.records)
    assert (said["created"], said["refused"]) == (4, 5)
    counted = {dict(labels)["event"]: n for (name, labels), n in found.items() if "events" in name}
    refused = sum(n for (name, _), n in found.items() if name == "wherry_refusals_total")
    assert said["refused"] == refused
    assert {name: n for name, n in counted.items() if n} == {
        name: n for name, n in said.items() if name in counted
    }


async def test_what_a_process_counted_names_the_process_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    async with hosting(api=router(tmp_path)) as client:
        text = (await scrape(client)).text
    counters = re.findall(r"^# TYPE (\w+) (?:counter|histogram)$", text, re.M)
    gauges = re.findall(r"^# TYPE (\w+) gauge$", text, re.M)
    for line in text.splitlines():
        if line.startswith(tuple(counters)):
            assert re.search(r'process="[^":]+:\d+"', line), line
        elif line.startswith(tuple(gauges)):
            assert "process=" not in line
    assert {"wherry_events_total", "wherry_part_bytes"} <= set(counters)
    assert {"wherry_uploads", "wherry_waiting"} <= set(gauges)


def test_counting_never_raises_for_facts_that_are_missing_or_odd() -> None:
    metrics = Metrics()
    for event in EVENTS:
        metrics.count(event, {})
        metrics.count(event, {"seconds": -5.0, "bytes": "many"})
    for error in every_error():
        metrics.count(Event.REFUSED, {"code": error.code})


async def test_a_server_without_a_worker_knows_how_many_assessments_workers_have(
    tmp_path: Path,
) -> None:
    """A worker elsewhere has one; then it is gone, and its lease runs out."""
    api = router(tmp_path, assessment=True, run_worker=False)
    catalog = open_catalog(Settings(data=tmp_path))
    async with hosting(api=api) as client:
        assert (await upload(client, 10, 10)).status_code == 200
        found = samples((await scrape(client)).text)
        assert value(found, "assessments_leased") == 0
        now = time.monotonic()
        lease = await catalog.lease_assessment(now, lambda a: a.lease("w", now, now + 50))
        assert lease is not None
        found = samples((await scrape(client)).text)
        assert value(found, "assessments_leased") == 1
        await catalog.update_assessment(lease.id, lambda a: a.renew("w", now - 1))
        found = samples((await scrape(client)).text)
        assert value(found, "assessments_leased") == 0
        assert value(found, "assessments", state="running") == 1
    await catalog.close()
