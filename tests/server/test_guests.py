"""Guests of the standalone server: a ticket is worth no more than the key of its owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from wherry.auth import Keys, keys_file
from wherry.server import create_app
from wherry.settings import Settings

pytestmark = pytest.mark.anyio

INIT, GUESTS = "/api/chunked-upload/init", "/api/chunked-upload/guests"
WANTED = {"filename": "film.mp4", "size": 10}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def server(data: Path, *, guests: bool = True) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(data=data, assessment=False, min_free=0, guests=guests)
    api = create_app(settings, "127.0.0.1")
    transport = httpx2.ASGITransport(api, client=("127.0.0.1", 4000))
    async with (
        api.router.lifespan_context(api),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def test_a_ticket_ends_with_the_last_key_of_its_owner(tmp_path: Path) -> None:
    keys = Keys(keys_file(tmp_path))
    alice, _ = keys.add("alice", operator=True), keys.add("bob")
    async with server(tmp_path) as client:
        made = await client.post(GUESTS, json={"uploads": 5}, headers=bearer(alice))
        ticket = bearer(made.json()["ticket"])
        assert (await client.post(INIT, json=WANTED, headers=ticket)).status_code == 201
        keys.remove("alice")
        assert (await client.post(INIT, json=WANTED, headers=ticket)).status_code == 401
        keys.add("alice")
        assert (await client.post(INIT, json=WANTED, headers=ticket)).status_code == 201
        keys_file(tmp_path).rename(tmp_path / "away")
        answer = await client.post(INIT, json=WANTED, headers=ticket)
        assert answer.json()["code"] == "keys-unreadable"


async def test_a_ticket_of_anonymous_access_ends_with_it(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        ticket = bearer((await client.post(GUESTS, json={"uploads": 5})).json()["ticket"])
        assert (await client.post(INIT, json=WANTED, headers=ticket)).status_code == 201
        Keys(keys_file(tmp_path)).add("alice")
        assert (await client.post(INIT, json=WANTED, headers=ticket)).status_code == 401


async def test_a_guest_is_no_operator_and_no_owner(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        made = (await client.post(GUESTS, json={"uploads": 5})).json()
        ticket = bearer(made["ticket"])
        whole = await client.post("/api/upload", files={"file": ("a.mp4", b"abc")}, headers=ticket)
        assert whole.status_code == 200
        upload_id = whole.json()["upload_id"]
        for method, path in (
            ("GET", f"/api/files/{upload_id}"),
            ("DELETE", f"/api/chunked-upload/files/{upload_id}"),
            ("GET", "/api/chunked-upload/"),
            ("GET", "/api/chunked-upload/probe"),
            ("GET", GUESTS),
            ("DELETE", f"{GUESTS}/{made['ticket_id']}"),
        ):
            answer = await client.request(method, path, headers=ticket)
            assert (answer.status_code, answer.json()["code"]) == (403, "not-for-guests"), path
        everybodys = [f"/api/chunked-upload/{name}" for name in ("all", "storage", "overview")]
        for path in (*everybodys, f"{everybodys[0]}/{upload_id}", "/metrics"):
            assert (await client.get(path, headers=ticket)).status_code == 404
        assert (await client.post(GUESTS, json={}, headers=ticket)).status_code == 403
        listed = (await client.get(GUESTS)).json()["tickets"]
        assert [(each["state"], each["used"]) for each in listed] == [("valid", 1)]


async def test_a_server_without_guests_takes_no_ticket(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        ticket = bearer((await client.post(GUESTS, json={})).json()["ticket"])
    async with server(tmp_path, guests=False) as client:
        assert (await client.post(GUESTS, json={})).status_code == 405
        assert (await client.post(INIT, json=WANTED, headers=ticket)).status_code == 401
        assert (await client.post(INIT, json=WANTED)).status_code == 201
