"""The host application takes part: before completion, and at it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry.core.errors import ContentRefused
from wherry.engine import FinishedFile
from wherry.router import chunked_upload_router

pytestmark = pytest.mark.anyio

DATA = b"film" * 16 * KiB


async def received(client: httpx2.AsyncClient) -> str:
    upload = Uploading(client)
    upload_id = await upload.begin(len(DATA), metadata={"course": "7"})
    assert (await upload.chunk(upload_id, 0, DATA)).status_code == 200
    return upload_id


async def test_on_complete_gets_the_file_and_its_answer_is_the_assessment_id(
    serve: Serve,
) -> None:
    seen: list[FinishedFile] = []

    def on_complete(file: FinishedFile) -> str:
        seen.append(file)
        assert file.path.read_bytes() == DATA
        return "theirs-17"

    async with serve(on_complete=on_complete) as client:
        upload_id = await received(client)
        for _ in range(3):
            answer = await Uploading(client).complete(upload_id)
            assert answer.json()["assessment_id"] == "theirs-17"
    [file] = seen
    assert (file.id, file.owner, file.filename) == (upload_id, "alice", "film.mp4")
    assert (file.size, file.metadata, file.path.suffix) == (len(DATA), {"course": "7"}, ".mp4")
    assert file.digest.startswith("crc64nvme=:")


async def test_on_complete_may_be_a_coroutine_and_may_move_the_file(
    serve: Serve, tmp_path: Path
) -> None:
    async def on_complete(file: FinishedFile) -> str:
        file.path.rename(tmp_path / "theirs.mp4")
        return "moved"

    async with serve(on_complete=on_complete) as client:
        upload_id = await received(client)
        answer = await Uploading(client).complete(upload_id)
        assert answer.json()["assessment_id"] == "moved"
        assert (await Uploading(client).status(upload_id)).json()["deleted_at"]
        admin = {"Authorization": "Bearer admin"}
        storage = await client.get("/chunked-upload/storage", headers=admin)
        assert storage.json()["used"] == 0
        assert (tmp_path / "theirs.mp4").read_bytes() == DATA


async def test_when_on_complete_raises_the_file_is_kept_and_completion_can_be_asked_again(
    serve: Serve,
) -> None:
    calls = 0

    def on_complete(file: FinishedFile) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("their database is away")
        return "second"

    async with serve(on_complete=on_complete) as client:
        upload = Uploading(client)
        upload_id = await received(client)
        found = problem(await upload.complete(upload_id), 500, "hook-failed")
        assert found["retryable"]
        assert "database" not in str(found)
        assert (await upload.status(upload_id)).json()["state"] == "completing"
        assert (await upload.complete(upload_id)).json()["assessment_id"] == "second"


async def test_on_complete_is_never_called_twice_at_the_same_time(serve: Serve) -> None:
    running = most = 0

    async def on_complete(file: FinishedFile) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        return "one"

    async with serve(on_complete=on_complete) as client:
        upload_id = await received(client)
        upload = Uploading(client)
        answers = await asyncio.gather(*(upload.complete(upload_id) for _ in range(8)))
        assert {answer.json()["assessment_id"] for answer in answers} == {"one"}
    assert most == 1


async def test_a_slow_hand_over_is_answered_with_202_and_goes_on(serve: Serve) -> None:
    called, let_go = asyncio.Event(), asyncio.Event()

    async def on_complete(file: FinishedFile) -> str:
        called.set()
        await let_go.wait()
        return "late"

    # So soon that it may not be recorded yet that the completion has begun.
    async with serve(on_complete=on_complete, answer_within=0.001) as client:
        upload = Uploading(client)
        upload_id = await received(client)
        assert (await upload.complete(upload_id)).status_code == 202
        await called.wait()  # on a busy machine, later than the answer
        answer = await upload.complete(upload_id)
        assert (answer.status_code, answer.json()["state"]) == (202, "completing")
        problem(await upload.cancel(upload_id), 409, "busy")
        let_go.set()
        while (status := (await upload.status(upload_id)).json())["state"] != "complete":
            await asyncio.sleep(0.01)
        assert status["assessment_id"] == "late"


async def test_before_complete_may_refuse_and_then_nothing_is_left(
    serve: Serve, tmp_path: Path
) -> None:
    def scanner(file: FinishedFile) -> None:
        assert file.path.read_bytes() == DATA
        raise ContentRefused("it is a virus")

    async with serve(before_complete=scanner) as client:
        upload_id = await received(client)
        found = problem(await Uploading(client).complete(upload_id), 422, "content-refused")
        assert "virus" in found["detail"]
        assert list((tmp_path / "temp_chunks").iterdir()) == []
        assert list((tmp_path / "files").iterdir()) == []


async def test_a_scanner_that_breaks_keeps_the_bytes(serve: Serve) -> None:
    works = False

    def scanner(file: FinishedFile) -> None:
        if not works:
            raise OSError("no scanner daemon")

    async with serve(before_complete=scanner) as client:
        upload = Uploading(client)
        upload_id = await received(client)
        problem(await upload.complete(upload_id), 500, "hook-failed")
        works = True
        assert (await upload.complete(upload_id)).status_code == 200
        assert await upload.file(upload_id) == DATA


async def test_an_upload_whose_hook_failed_can_be_cancelled(serve: Serve, tmp_path: Path) -> None:
    def on_complete(file: FinishedFile) -> str:
        raise RuntimeError

    async with serve(on_complete=on_complete) as client:
        upload_id = await received(client)
        problem(await Uploading(client).complete(upload_id), 500, "hook-failed")
        assert (await Uploading(client).cancel(upload_id)).json()["state"] == "cancelled"
        assert list((tmp_path / "files").iterdir()) == []


async def test_priority_orders_the_assessments_of_wherry(serve: Serve, tmp_path: Path) -> None:
    def priority(file: FinishedFile) -> int:
        return int(file.metadata["course"])

    async with serve(priority=priority, assessment=True, run_worker=False) as client:
        upload_id = await received(client)
        assert (await Uploading(client).complete(upload_id)).status_code == 200
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as database:
        assert database.execute("SELECT rank FROM assessments").fetchall() == [(-7,)]


async def _coroutine(_: FinishedFile) -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"priority": 101}, "from -100 to 100, not 101"),
        ({"priority": "high"}, "from -100 to 100, not 'high'"),
        ({"priority": _coroutine}, "no coroutine function"),
        ({"priority": 1, "on_complete": lambda _: "theirs"}, "with on_complete"),
    ],
)
async def test_a_priority_that_is_of_no_use_is_refused_at_the_start(
    tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TypeError, match=problem):
        chunked_upload_router(owner=lambda: "alice", data=tmp_path, assessment=True, **options)
