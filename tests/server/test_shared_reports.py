"""Readers of a shared report, on the standalone server, may ask for nothing else."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from wherry.app import App
from wherry.auth import Keys, keys_file
from wherry.router import operations
from wherry.server import create_app
from wherry.settings import Settings

pytestmark = pytest.mark.anyio

API = "/api/chunked-upload"
#: What readers may ask for, by the name of the operation.
ALLOWED = {"get_assessment", "get_picture", "get_file", "accepted"}


def on(data: Path) -> Settings:
    return Settings(
        data=data,
        assessment=True,
        run_worker=False,
        min_free=0,
        guests=True,
        shared_reports=True,
        shared_files=True,
    )


async def test_every_other_request_of_a_reader_is_refused(tmp_path: Path) -> None:
    settings = on(tmp_path)
    key = {"Authorization": f"Bearer {Keys(keys_file(tmp_path)).add('alice')}"}
    api = create_app(settings, "127.0.0.1")
    transport = httpx2.ASGITransport(api, client=("127.0.0.1", 4000))
    async with (
        api.router.lifespan_context(api),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        sent = await client.post(f"{API}/upload", files={"file": ("a.mp4", b"x")}, headers=key)
        facts = sent.json()
        made = await client.post(
            f"{API}/{facts['upload_id']}/links", json={"with_file": True}, headers=key
        )
        reader = {"Authorization": f"Bearer {made.json()['ticket']}"}
        places = {
            "upload_id": facts["upload_id"],
            "assessment_id": facts["assessment_id"],
            "name": "poster.jpg",
            "ticket_id": made.json()["ticket_id"],
        }
        asked = 0
        for operation in operations(App(settings)):
            path = f"{API}{operation.path.format_map(places)}"
            answer = await client.request(operation.method, path, headers=reader)
            if operation.name in ALLOWED:
                assert answer.status_code in (200, 404), operation.name
                continue
            refused = answer.headers["wherry-error"]  # HEAD has no body
            expected = "not-found" if operation.is_operators else "not-for-guests"
            assert (refused, operation.name) == (expected, operation.name)
            asked += 1
        assert asked > 15
        for path in (f"/api/files/{facts['upload_id']}", f"{API}/files/{facts['upload_id']}"):
            assert (await client.get(path, headers=reader)).content == b"x"
        deleted = await client.delete(f"/api/files/{facts['upload_id']}", headers=reader)
        assert deleted.json()["code"] == "not-for-guests"
        Keys(keys_file(tmp_path)).remove("alice")
        ended = await client.get(f"{API}/files/{facts['upload_id']}", headers=reader)
        assert ended.status_code == 401
