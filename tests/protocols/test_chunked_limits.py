"""How many uploads, how large, and of what: the limits of the chunked API."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from tests.protocols.conftest import Serve, Uploading
from tests.protocols.problems import problem
from tests.protocols.sending import CHUNK, DATA, SIZE, send_all, sha256

from wherry.core.digests import Digest, crc64
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.chunked import verbs

pytestmark = pytest.mark.anyio


async def test_a_file_above_max_size_is_refused_at_once(serve: Serve) -> None:
    async with serve(max_size=1000) as client:
        found = problem(await Uploading(client).init(1001), 413, "too-large")
        assert (found["scope"], found["limit"]) == ("file", 1000)


async def test_the_limits_of_files_are_told_before_a_file_is_sent(serve: Serve) -> None:
    async with serve(max_size=1000, allowed_types="video/*,audio/flac") as client:
        told = await client.get("/chunked-upload/accepted")
        mine = {"receipts": False, "guests": False, "operator": False, "ticket": None}
        mine |= {"shared_reports": False, "shared_files": False}
        files = {"max_size": 1000, "allowed_types": ["video/*", "audio/flac"]}
        assert told.json() == files | mine
        nobody = {"Authorization": ""}
        assert (await client.get("/chunked-upload/accepted", headers=nobody)).status_code == 401
    async with serve() as client:
        told = await client.get("/chunked-upload/accepted")
        assert told.json() == {"max_size": None, "allowed_types": []} | mine


async def test_what_can_never_fit_is_refused_at_once(serve: Serve) -> None:
    async with serve(max_reserved=1000) as client:
        problem(await Uploading(client).init(1001), 507, "never-fits")
    async with serve() as client:
        problem(await Uploading(client).init(2**60), 507, "never-fits")


@pytest.mark.parametrize(
    "limits",
    [
        {"max_open": 2},
        {"max_open_per_owner": 2},
        {"max_reserved": 2 * SIZE},
        {"max_reserved_per_owner": 2 * SIZE},
    ],
)
async def test_above_the_limits_init_gives_a_place_in_the_line(
    serve: Serve, limits: dict[str, int]
) -> None:
    async with serve(**limits) as client:
        upload = Uploading(client)
        first = await upload.begin(SIZE)
        await upload.begin(SIZE)
        queued = [await upload.init(SIZE) for _ in range(2)]
        assert [answer.status_code for answer in queued] == [202, 202]
        for number, answer in enumerate(queued, 1):
            told = answer.json()
            assert (told["state"], told["position"]) == ("waiting", number)
            assert told["retry_after"] == int(answer.headers["retry-after"]) > 0
        waiting = queued[0].json()["upload_id"]
        await upload.cancel(first)
        while (told := (await upload.status(waiting)).json())["state"] == "waiting":
            assert told["position"] == 1
            await anyio.sleep(0.02)
        assert (told["position"], told["retry_after"]) == (None, None)
        assert (await upload.chunk(waiting, 0, DATA[:CHUNK])).status_code == 200
        listed = (await client.get("/chunked-upload/")).json()["uploads"]
        assert [each["position"] for each in listed if each["state"] == "waiting"] == [1]


async def test_a_chunk_and_a_completion_before_the_turn_are_told_to_wait(serve: Serve) -> None:
    async with serve(max_open=1) as client:
        upload = Uploading(client)
        await upload.begin(SIZE)
        waiting = (await upload.init(SIZE)).json()["upload_id"]
        for answer in (
            await upload.chunk(waiting, 0, DATA[:CHUNK]),
            await upload.complete(waiting),
        ):
            told = problem(answer, 429, "waiting")
            assert (told["position"], told["retryable"]) == (1, True)
            assert told["retry_after"] == int(answer.headers["retry-after"])


async def test_a_line_that_is_full_is_said_to_be(serve: Serve) -> None:
    async with serve(max_open=1, max_waiting=0) as client:
        upload = Uploading(client)
        await upload.begin(SIZE)
        full = await upload.init(SIZE)
        assert problem(full, 503, "no-room")["retryable"]
        assert int(full.headers["retry-after"]) > 0


async def test_events_tell_the_place_and_then_the_turn(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = 0, Engine.with_position

    async def with_position(engine: Engine, upload: Upload) -> tuple[Upload, int | None]:
        nonlocal looks
        found = await real(engine, upload)
        looks += 1
        return found

    monkeypatch.setattr(Engine, "with_position", with_position)
    monkeypatch.setattr(verbs, "POLL_INTERVAL", 0.01)
    async with serve(max_open=1) as client:
        upload = Uploading(client)
        first = await upload.begin(SIZE)
        waiting = (await upload.init(SIZE)).json()["upload_id"]

        async def told_what_there_is() -> None:
            seen = looks
            while looks < seen + 2:
                await anyio.sleep(0.01)

        async def make_room() -> None:
            await told_what_there_is()
            await upload.cancel(first)
            while (await upload.status(waiting)).json()["state"] == "waiting":
                await anyio.sleep(0.01)
            await told_what_there_is()
            await upload.cancel(waiting)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make_room)
            answer = await client.get(f"/chunked-upload/{waiting}/events", timeout=120)
    told = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
    states = [(each["state"], each["position"]) for each in told]
    assert states == [("waiting", 1), ("receiving", None), ("cancelled", None)]


async def test_an_idle_upload_gives_its_slot_away_and_keeps_its_bytes(serve: Serve) -> None:
    async with serve(max_open=1, slot_idle=2, turn=0.2) as client:
        upload = Uploading(client)
        idle = await upload.begin(SIZE)
        assert (await upload.chunk(idle, 0, DATA[:CHUNK])).status_code == 200
        await anyio.sleep(2.1)
        active = await upload.begin(SIZE)
        assert (await upload.chunk(active, 0, DATA[:CHUNK])).status_code == 200
        answer = await upload.chunk(idle, CHUNK, DATA[CHUNK : 2 * CHUNK])
        assert problem(answer, 429, "waiting")["position"] == 1
        await upload.cancel(active)
        with anyio.fail_after(60):
            while answer.status_code == 429:
                await anyio.sleep(0.05)
                answer = await upload.chunk(idle, CHUNK, DATA[CHUNK : 2 * CHUNK])
        assert answer.json()["offset"] == 2 * CHUNK


async def test_a_refused_type_is_told_with_the_first_chunk_and_deleted(
    serve: Serve, tmp_path: Path
) -> None:
    async with serve(allowed_types=("video/*",)) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(SIZE)
        answer = await upload.chunk(upload_id, 0, b"%PDF-1.7" + DATA[: CHUNK - 8])
        assert problem(answer, 415, "type-refused")["found"] == "application/pdf"
        assert list((tmp_path / "temp_chunks").iterdir()) == []
        assert (await upload.status(upload_id)).json()["failure"] == "type-refused"


async def test_an_allowed_type_is_taken_whatever_the_client_calls_it(serve: Serve) -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + DATA[: CHUNK - 24]
    async with serve(allowed_types=("video/*",)) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(CHUNK, content_type="text/plain")
        assert (await upload.chunk(upload_id, 0, film)).status_code == 200
        assert (await upload.complete(upload_id)).status_code == 200


async def test_a_damaged_first_chunk_is_sent_again_and_not_taken_for_another_type(
    serve: Serve,
) -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + DATA[: CHUNK - 24]
    async with serve(allowed_types=("video/*",)) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(CHUNK)
        damaged = b"%PDF" + film[4:]
        answer = await upload.chunk(upload_id, 0, damaged, content_digest=sha256(film))
        assert problem(answer, 422, "digest-mismatch")["retryable"]
        answer = await upload.chunk(upload_id, 0, film, content_digest=sha256(film))
        assert answer.status_code == 200
        other = await upload.begin(CHUNK)
        answer = await upload.chunk(other, 0, damaged, content_digest=sha256(damaged))
        problem(answer, 415, "type-refused")


async def test_two_announced_digests_that_differ_are_refused(upload: Uploading) -> None:
    upload_id = await upload.begin(SIZE, digest=str(Digest.of_crc(crc64(DATA))))
    await send_all(upload, upload_id)
    answer = await upload.complete(upload_id, digest=str(Digest.of_crc(1)))
    problem(answer, 400, "bad-request")
    assert (await upload.complete(upload_id)).status_code == 200
