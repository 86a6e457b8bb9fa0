"""A link shows one report to whoever has it, and nothing else, until it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import Serve, Uploading
from tests.protocols.problems import problem

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 16
API, GUESTS = "/chunked-upload", "/chunked-upload/guests"
#: Reports of films that wait: no worker is needed to see them.
ON: dict[str, Any] = {"assessment": True, "run_worker": False, "shared_reports": True}


class Shared:
    """An upload, and what readers of its report may ask with a ticket."""

    def __init__(self, client: httpx2.AsyncClient, upload_id: str, assessment_id: str) -> None:
        self.client = client
        self.upload_id = upload_id
        self.assessment_id = assessment_id

    async def share(self, **wanted: Any) -> httpx2.Response:
        return await self.client.post(f"{API}/{self.upload_id}/links", json=wanted)

    async def link(self, **wanted: Any) -> dict[str, Any]:
        answer = await self.share(**wanted)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def read(self, ticket: str, path: str, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {ticket}"}
        method = more.pop("method", "GET")
        return await self.client.request(method, f"{API}{path}", headers=headers, **more)

    @property
    def report(self) -> str:
        return f"/assessments/{self.assessment_id}"

    @property
    def file(self) -> str:
        return f"/files/{self.upload_id}"


async def upload(client: httpx2.AsyncClient) -> Shared:
    answer = await client.post(f"{API}/upload", files={"file": ("film.mp4", DATA)})
    assert answer.status_code == 200, answer.text
    return Shared(client, answer.json()["upload_id"], answer.json()["assessment_id"])


@pytest.fixture
async def shared(serve: Serve) -> AsyncIterator[Shared]:
    async with serve(**ON) as client:
        yield await upload(client)


def draw(data: Path, shared: Shared) -> None:
    folder = data / "assessments" / shared.assessment_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "poster.jpg").write_bytes(b"a picture")


async def test_a_reader_sees_the_report_and_its_pictures(shared: Shared, tmp_path: Path) -> None:
    draw(tmp_path, shared)
    link = await shared.link(note="for Bob")
    assert (link["shows"], link["with_file"], link["state"]) == (shared.upload_id, False, "valid")
    report = await shared.read(link["ticket"], shared.report)
    assert report.json()["assessment_id"] == shared.assessment_id
    picture = await shared.read(link["ticket"], f"{shared.report}/pictures/poster.jpg")
    assert picture.content == b"a picture"
    told = (await shared.read(link["ticket"], "/accepted")).json()
    assert (told["ticket"]["shows"], told["ticket"]["with_file"]) == (shared.upload_id, False)
    assert (told["shared_reports"], told["guests"]) == (False, False)


async def test_a_reader_sees_no_other_report(shared: Shared) -> None:
    other = await upload(shared.client)
    ticket = (await shared.link())["ticket"]
    for path in (other.report, f"{other.report}/pictures/poster.jpg"):
        problem(await shared.read(ticket, path), 404, "not-found")
    problem(await shared.read(ticket, shared.file), 403, "not-for-guests")
    assert await Uploading(shared.client).file(shared.upload_id) == DATA


async def test_the_file_is_shown_only_where_operator_and_owner_allow_it(serve: Serve) -> None:
    async with serve(**ON) as client:
        shared = await upload(client)
        problem(await shared.share(with_file=True), 404, "not-found")
    async with serve(**ON, shared_files=True) as client:
        shared.client = client
        without, with_file = await shared.link(), await shared.link(with_file=True)
        problem(await shared.read(without["ticket"], shared.file), 403, "not-for-guests")
        assert (await shared.read(with_file["ticket"], shared.file)).content == DATA
        other = await upload(client)
        problem(await shared.read(with_file["ticket"], other.file), 404, "upload-not-found")
        told = (await shared.read(with_file["ticket"], "/accepted")).json()
        assert told["ticket"]["with_file"]
    async with serve(**ON) as client:  # the operator has changed their mind
        shared.client = client
        problem(await shared.read(with_file["ticket"], shared.file), 403, "not-for-guests")
        assert (await shared.read(with_file["ticket"], shared.report)).status_code == 200
        told = (await shared.read(with_file["ticket"], "/accepted")).json()
        assert not told["ticket"]["with_file"]


async def test_a_link_ends_with_its_time(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = (await shared.link(expires_in=3600))["ticket"]
    assert (await shared.read(ticket, shared.report)).status_code == 200
    pass_time(monkeypatch, 3601)
    for path in (shared.report, "/accepted"):
        problem(await shared.read(ticket, path), 403, "ticket-expired")


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The deadline clock shows so many seconds more."""
    from wherry.deadline_clock import DeadlineClock

    show = DeadlineClock.__call__
    monkeypatch.setattr(DeadlineClock, "__call__", lambda clock: show(clock) + seconds)


async def test_its_owner_lists_and_revokes_a_link(shared: Shared) -> None:
    made = await shared.link(note="for Bob")
    [listed] = (await shared.client.get(GUESTS)).json()["tickets"]
    assert (listed["shows"], listed["note"], listed["state"]) == (
        shared.upload_id,
        "for Bob",
        "valid",
    )
    assert "ticket" not in listed
    bob = {"Authorization": "Bearer bob"}
    foreign = await shared.client.delete(f"{GUESTS}/{made['ticket_id']}", headers=bob)
    problem(foreign, 404, "not-found")
    assert (await shared.read(made["ticket"], shared.report)).status_code == 200
    assert (await shared.client.delete(f"{GUESTS}/{made['ticket_id']}")).status_code == 204
    problem(await shared.read(made["ticket"], shared.report), 403, "ticket-revoked")


async def test_only_the_owner_shares_a_report_that_there_is(shared: Shared) -> None:
    bob = {"Authorization": "Bearer bob"}
    links = f"{API}/{shared.upload_id}/links"
    problem(await shared.client.post(links, json={}, headers=bob), 404, "upload-not-found")
    begun = await Uploading(shared.client).begin(10)
    problem(await shared.client.post(f"{API}/{begun}/links", json={}), 404, "not-found")
    for wanted in ({"expires_in": 0}, {"expires_in": 1e12}, {"with_file": "yes"}):
        answer = await shared.share(**wanted)
        assert problem(answer, 400, "bad-request")["field"] == next(iter(wanted))
    assert (await shared.client.get(GUESTS)).json()["tickets"] == []


async def test_a_ticket_for_uploads_shows_no_report(serve: Serve) -> None:
    async with serve(**ON, guests=True, shared_files=True) as client:
        shared = await upload(client)
        ticket = (await client.post(GUESTS, json={})).json()["ticket"]
        for path in (shared.report, shared.file):
            problem(await shared.read(ticket, path), 403, "not-for-guests")
        reader = (await shared.link(with_file=True))["ticket"]
        for method, path in (("POST", "/init"), ("GET", f"/{shared.upload_id}")):
            answer = await shared.read(reader, path, method=method)
            problem(answer, 403, "not-for-guests")


async def test_links_are_off_unless_the_setting_is_on(serve: Serve) -> None:
    async with serve(**ON) as client:
        shared = await upload(client)
        ticket = (await shared.link())["ticket"]
    async with serve(**ON | {"shared_reports": False, "guests": True}) as client:
        shared.client = client
        assert (await shared.share()).status_code in (404, 405)
        told = (await client.get(f"{API}/accepted")).json()
        assert not told["shared_reports"]
        problem(await shared.read(ticket, "/accepted"), 401, "unauthorized")
