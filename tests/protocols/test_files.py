"""The finished bytes, for their owner alone."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx2
import pytest
from tests.protocols.conftest import Serve
from tests.protocols.problems import problem

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 16


async def finished(client: httpx2.AsyncClient, name: str = "film.mp4") -> str:
    answer = await client.post("/chunked-upload/upload", files={"file": (name, DATA)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["upload_id"])


async def test_a_file_is_an_attachment_and_never_a_page(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"/chunked-upload/files/{await finished(client, 'a page.html')}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_range_is_served(client: httpx2.AsyncClient) -> None:
    path = f"/chunked-upload/files/{await finished(client)}"
    answer = await client.get(path, headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206
    assert answer.content == DATA[10:20]
    assert answer.headers["content-range"] == f"bytes 10-19/{len(DATA)}"


async def test_an_unfinished_file_is_not_served(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/chunked-upload/init", json={"filename": "a", "size": 10})
    problem(
        await client.get(f"/chunked-upload/files/{answer.json()['upload_id']}"), 404, "not-found"
    )


async def test_a_deleted_file_is_gone_and_its_record_stays(
    client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    upload_id = await finished(client)
    for _ in range(2):
        assert (await client.delete(f"/chunked-upload/files/{upload_id}")).status_code == 204
    problem(await client.get(f"/chunked-upload/files/{upload_id}"), 404, "not-found")
    assert list((tmp_path / "files").iterdir()) == []
    assert (await client.get(f"/chunked-upload/{upload_id}")).json()["state"] == "complete"


async def test_an_unknown_assessment_or_picture_is_not_there(serve: Serve) -> None:
    async with serve(assessment=True) as client:
        await check_unknown(client)


async def check_unknown(client: httpx2.AsyncClient) -> None:
    unknown = "0" * 32
    problem(await client.get(f"/chunked-upload/assessments/{unknown}"), 404, "not-found")
    problem(
        await client.get(f"/chunked-upload/assessments/{unknown}/pictures/poster.jpg"),
        404,
        "not-found",
    )
    problem(
        await client.get(f"/chunked-upload/assessments/{unknown}/pictures/..x.jpg"),
        404,
        "not-found",
    )


async def test_a_file_is_kept_as_long_as_was_promised(serve: Serve, tmp_path: Path) -> None:
    async with serve(keep_files=0.1, sweep_every=0.05) as client:
        upload_id = await finished(client)
        with anyio.fail_after(60):
            while any((tmp_path / "files").iterdir()):
                await anyio.sleep(0.02)
        problem(await client.get(f"/chunked-upload/files/{upload_id}"), 404, "not-found")
