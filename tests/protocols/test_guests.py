"""Guests upload into an owner's space, within what their ticket allows, and see nothing else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, HTTPException
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry.router import FinishedFile, chunked_upload_router

pytestmark = pytest.mark.anyio

DATA = b"x" * 64 * KiB
GUESTS = "/chunked-upload/guests"


@pytest.fixture
async def owner(serve: Serve) -> AsyncIterator[Uploading]:
    async with serve(guests=True) as client:
        yield Uploading(client)


async def ticket(owner: Uploading, **wanted: Any) -> dict[str, Any]:
    answer = await owner.client.post(GUESTS, json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Guest(Uploading):
    """The verbs, with a ticket and without a login."""

    def __init__(self, owner: Uploading, ticket: str) -> None:
        super().__init__(owner.client)
        self.headers = {"Authorization": f"Bearer {ticket}"}

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = self.headers | more.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **more)

    async def init(self, size: Any, filename: Any = "film.mp4", **more: Any) -> httpx2.Response:
        wanted = {"filename": filename, "size": size} | more
        return await self.ask("POST", "/chunked-upload/init", json=wanted)

    async def chunk(self, upload_id: str, offset: Any, data: bytes, **_: str) -> httpx2.Response:
        params = {"upload_id": upload_id, "offset": offset}
        return await self.ask("POST", "/chunked-upload/chunk", params=params, content=data)

    async def complete(self, upload_id: str, **more: Any) -> httpx2.Response:
        wanted = {"upload_id": upload_id} | more
        return await self.ask("POST", "/chunked-upload/complete", json=wanted)

    async def cancel(self, upload_id: str) -> httpx2.Response:
        return await self.ask("POST", "/chunked-upload/cancel", json={"upload_id": upload_id})

    async def status(self, upload_id: str) -> httpx2.Response:
        return await self.ask("GET", f"/chunked-upload/{upload_id}")

    async def whole(self, data: bytes, **headers: str) -> httpx2.Response:
        disposition = {"Content-Disposition": 'attachment; filename="film.mp4"'}
        return await self.ask(
            "POST",
            "/chunked-upload/upload",
            content=data,
            headers=disposition | {name.replace("_", "-"): v for name, v in headers.items()},
        )


async def listed(owner: Uploading) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await owner.client.get(GUESTS)).json()["tickets"]
    return found


async def test_a_guest_sends_a_file_in_chunks_into_the_owners_space(owner: Uploading) -> None:
    made = await ticket(owner, note="for Bob")
    guest = Guest(owner, made["ticket"])
    upload_id = await guest.begin(len(DATA))
    assert (await guest.chunk(upload_id, 0, DATA)).status_code == 200
    assert (await guest.status(upload_id)).json()["ticket_id"] == made["ticket_id"]
    assert (await guest.complete(upload_id)).json()["state"] == "complete"
    assert (await owner.status(upload_id)).json()["ticket_id"] == made["ticket_id"]
    assert await owner.file(upload_id) == DATA
    [shown] = await listed(owner)
    assert "ticket" not in shown
    assert (shown["state"], shown["used"], shown["note"]) == ("used-up", 1, "for Bob")


async def test_a_guest_sends_whole_files_until_the_ticket_is_used_up(
    owner: Uploading, tmp_path: Path
) -> None:
    guest = Guest(owner, (await ticket(owner, uploads=2))["ticket"])
    for _ in range(2):
        answer = await guest.whole(DATA)
        assert answer.status_code == 200, answer.text
        assert await owner.file(answer.json()["upload_id"]) == DATA
    for refused in (await guest.whole(DATA), await guest.init(10)):
        assert problem(refused, 403, "ticket-used-up")["uploads"] == 2
    assert len(list((tmp_path / "files").iterdir())) == 2
    assert list((tmp_path / "temp_chunks").iterdir()) == []


async def test_a_file_that_does_not_come_gives_its_use_back(owner: Uploading) -> None:
    guest = Guest(owner, (await ticket(owner))["ticket"])
    upload_id = await guest.begin(len(DATA), fingerprint="f")
    again = await guest.init(len(DATA), fingerprint="f")
    assert (again.status_code, again.json()["upload_id"]) == (200, upload_id)
    problem(await guest.init(len(DATA)), 403, "ticket-used-up")
    assert (await guest.cancel(upload_id)).status_code == 200
    wrong = await guest.whole(DATA, Content_Digest="crc32c=:AAAAAA==:")
    problem(wrong, 422, "digest-mismatch")
    upload_id = await guest.begin(10)
    assert (await owner.cancel(upload_id)).status_code == 200
    assert (await guest.whole(DATA)).status_code == 200


async def test_a_ticket_limits_the_size_of_each_file(owner: Uploading) -> None:
    guest = Guest(owner, (await ticket(owner, max_size=len(DATA), uploads=5))["ticket"])
    assert problem(await guest.init(len(DATA) + 1), 413, "too-large")["limit"] == len(DATA)
    assert (await guest.init(len(DATA))).json()["limits"]["max_size"] == len(DATA)
    problem(await guest.whole(DATA + b"x"), 413, "too-large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield DATA

    disposition = {"Content-Disposition": 'attachment; filename="film.mp4"'}
    unannounced = await guest.ask(
        "POST", "/chunked-upload/upload", content=pieces(), headers=disposition
    )
    problem(unannounced, 413, "too-large")
    form = await guest.ask("POST", "/chunked-upload/upload", files={"file": ("film.mp4", DATA)})
    assert form.status_code == 200, form.text
    large = await guest.ask(
        "POST", "/chunked-upload/upload", files={"file": ("film.mp4", DATA * 2)}
    )
    problem(large, 413, "too-large")
    assert (await listed(owner))[0]["used"] == 2


async def test_a_guest_sees_and_touches_only_uploads_of_the_own_ticket(owner: Uploading) -> None:
    guest = Guest(owner, (await ticket(owner, uploads=9))["ticket"])
    other = Guest(owner, (await ticket(owner, uploads=9))["ticket"])
    of_owner = await owner.begin(len(DATA), fingerprint="f")
    of_other = await other.begin(len(DATA), fingerprint="f")
    for upload_id in (of_owner, of_other):
        for answer in (
            await guest.status(upload_id),
            await guest.chunk(upload_id, 0, DATA),
            await guest.complete(upload_id),
            await guest.cancel(upload_id),
            await guest.ask("DELETE", f"/chunked-upload/{upload_id}"),
            await guest.ask("GET", f"/chunked-upload/{upload_id}/events"),
        ):
            problem(answer, 404, "upload-not-found")
    mine = await guest.begin(len(DATA), fingerprint="f")
    assert mine not in {of_owner, of_other}
    found = await guest.ask("GET", "/chunked-upload/?fingerprint=f")
    assert [each["upload_id"] for each in found.json()["uploads"]] == [mine]
    seen = (await owner.client.get("/chunked-upload/?fingerprint=f")).json()["uploads"]
    assert {each["upload_id"] for each in seen} == {mine, of_other, of_owner}
    problem(await guest.ask("GET", "/chunked-upload/"), 403, "not-for-guests")


async def test_the_key_of_a_request_is_that_of_its_ticket(owner: Uploading) -> None:
    guest = Guest(owner, (await ticket(owner, uploads=9))["ticket"])
    other = Guest(owner, (await ticket(owner, uploads=9))["ticket"])
    answers = [await each.whole(DATA, Idempotency_Key='"k"') for each in (guest, guest, other)]
    ids = [answer.json()["upload_id"] for answer in answers]
    assert ids[0] == ids[1] != ids[2]
    assert [each["used"] for each in await listed(owner)] == [1, 1]


async def test_an_expired_ticket_begins_nothing_but_finishes_what_it_began(
    owner: Uploading, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = Guest(owner, (await ticket(owner, uploads=9, expires_in=3600))["ticket"])
    upload_id = await guest.begin(len(DATA), fingerprint="f")
    before = (await listed(owner))[0]
    assert before["state"] == "valid"
    pass_time(monkeypatch, 3601)
    assert (await listed(owner))[0]["state"] == "expired"
    for refused in (await guest.init(10), await guest.whole(DATA)):
        problem(refused, 403, "ticket-expired")
    assert (await guest.init(len(DATA), fingerprint="f")).json()["upload_id"] == upload_id
    assert (await guest.chunk(upload_id, 0, DATA)).status_code == 200
    assert (await guest.complete(upload_id)).json()["state"] == "complete"


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The deadline clock shows so many seconds more."""
    from wherry.deadline_clock import DeadlineClock

    show = DeadlineClock.__call__
    monkeypatch.setattr(DeadlineClock, "__call__", lambda clock: show(clock) + seconds)


async def test_a_revoked_ticket_is_of_no_use(owner: Uploading) -> None:
    made = await ticket(owner, uploads=9)
    guest = Guest(owner, made["ticket"])
    upload_id = await guest.begin(len(DATA))
    for _ in range(2):
        revoked = await owner.client.delete(f"{GUESTS}/{made['ticket_id']}")
        assert revoked.status_code == 204
    for refused in (
        await guest.init(10),
        await guest.whole(DATA),
        await guest.chunk(upload_id, 0, DATA),
        await guest.status(upload_id),
        await guest.complete(upload_id),
    ):
        problem(refused, 403, "ticket-revoked")
    assert (await owner.chunk(upload_id, 0, DATA)).status_code == 200
    assert (await owner.complete(upload_id)).json()["state"] == "complete"


async def test_only_its_owner_revokes_and_lists_a_ticket(owner: Uploading) -> None:
    made = await ticket(owner)
    bob = {"Authorization": "Bearer bob"}
    foreign = await owner.client.delete(f"{GUESTS}/{made['ticket_id']}", headers=bob)
    problem(foreign, 404, "not-found")
    assert (await owner.client.get(GUESTS, headers=bob)).json()["tickets"] == []
    problem(await owner.client.delete(f"{GUESTS}/{'0' * 32}"), 404, "not-found")
    assert (await listed(owner))[0]["state"] == "valid"
    page = await owner.client.get(GUESTS, params={"limit": 0})
    assert problem(page, 400, "bad-request")["field"] == "limit"


@pytest.mark.parametrize(
    "wanted",
    [
        {"uploads": 0},
        {"uploads": "1"},
        {"max_size": -1},
        {"expires_in": 0},
        {"expires_in": 1e12},
        {"note": "x" * 2000},
    ],
    ids=str,
)
async def test_a_ticket_that_makes_no_sense_is_not_made(
    owner: Uploading, wanted: dict[str, Any]
) -> None:
    answer = await owner.client.post(GUESTS, json=wanted)
    assert problem(answer, 400, "bad-request")["field"] == next(iter(wanted))
    assert await listed(owner) == []


async def test_no_wrong_ticket_lets_in_and_none_gets_into_the_log(
    owner: Uploading, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await ticket(owner)
    right = made["ticket"]
    for wrong in (right[:-1], right + "0", right[:-32] + "0" * 32, "wherry_guest_"):
        answer = await Guest(owner, wrong).init(10)
        assert wrong not in answer.text
        problem(answer, 401, "unauthorized")
    guest = Guest(owner, right)
    problem(await guest.init(-1), 400, "bad-request")
    problem(await guest.status("0" * 32), 404, "upload-not-found")
    assert (await guest.whole(DATA)).status_code == 200
    problem(await guest.whole(DATA), 403, "ticket-used-up")
    secret = right[-32:]
    assert made["ticket_id"] in caplog.text
    assert secret not in caplog.text


async def test_rates_and_limits_are_those_of_the_owner(serve: Serve) -> None:
    async with serve(guests=True, rate_uploads="2/day") as client:
        owner = Uploading(client)
        guest = Guest(owner, (await ticket(owner, uploads=9))["ticket"])
        await owner.begin(10)
        await guest.begin(10)
        problem(await guest.init(10), 429, "rate-limited")
        problem(await owner.init(10), 429, "rate-limited")
        assert (await listed(owner))[0]["used"] == 1


async def test_tickets_are_off_unless_the_setting_is_on(serve: Serve) -> None:
    async with serve(guests=True) as client:
        text = (await ticket(Uploading(client)))["ticket"]
    async with serve() as client:
        owner = Uploading(client)
        refused = await client.post(GUESTS, json={})
        assert refused.status_code in (404, 405)
        answer = await Guest(owner, text).init(10)
        # The application's login decides; that of this test makes an owner of any token.
        assert answer.json()["ticket_id"] is None


class Host:
    """An application whose login refuses tickets, with a hook."""

    def __init__(self, data: Path) -> None:
        self.asked: list[str] = []
        self.finished: list[FinishedFile] = []

        def login(who: str = "") -> str:
            self.asked.append(who)
            if who != "alice":
                raise HTTPException(401)
            return who

        def hand_over(file: FinishedFile) -> str:
            self.finished.append(file)
            return "theirs"

        router = chunked_upload_router(
            owner=login, on_complete=hand_over, guests=True, data=data, min_free=0
        )
        self.app = FastAPI(dependencies=[Depends(lambda: None)])
        self.app.include_router(router, prefix="/api")


async def test_the_login_of_an_application_is_not_asked_about_tickets(tmp_path: Path) -> None:
    host = Host(tmp_path)
    transport = httpx2.ASGITransport(host.app)
    async with (
        host.app.router.lifespan_context(host.app),
        httpx2.AsyncClient(transport=transport, base_url="http://test/api") as client,
    ):
        made = (await client.post(f"{GUESTS}?who=alice", json={"uploads": 2})).json()
        host.asked.clear()
        guest = Guest(Uploading(client), made["ticket"])
        upload_id = await guest.begin(len(DATA))
        assert (await guest.chunk(upload_id, 0, DATA)).status_code == 200
        assert (await guest.complete(upload_id)).json()["assessment_id"] == "theirs"
        assert (await guest.whole(DATA)).status_code == 200
        assert host.asked == []
        [first, second] = host.finished
        assert {first.owner, second.owner} == {"alice"}
        assert {first.ticket_id, second.ticket_id} == {made["ticket_id"]}
        forbidden = await guest.ask("GET", f"/chunked-upload/files/{upload_id}")
        assert forbidden.status_code == 401
        assert host.asked == [""]


async def test_a_guest_is_told_what_the_ticket_still_allows(owner: Uploading) -> None:
    made = await ticket(owner, max_size=1000, uploads=2)
    guest = Guest(owner, made["ticket"])
    await guest.begin(10)
    told = (await guest.ask("GET", "/chunked-upload/accepted")).json()
    assert (told["max_size"], told["guests"]) == (1000, False)
    assert told["ticket"]["uploads"] == 1
    # The deadline clock's dates may differ by a second, by rounding.
    ends, announced = (
        datetime.fromisoformat(at) for at in (made["expires_at"], told["ticket"]["expires_at"])
    )
    assert abs(ends - announced) <= timedelta(seconds=1)
    of_owner = (await owner.client.get("/chunked-upload/accepted")).json()
    assert (of_owner["guests"], of_owner["ticket"]) == (True, None)
