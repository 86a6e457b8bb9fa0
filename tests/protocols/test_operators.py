"""What operators see and do: of all owners, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry import __version__

pytestmark = pytest.mark.anyio

OPERATOR = {"Authorization": "Bearer admin"}
DATA = b"x" * 64 * KiB


async def asked(client: httpx2.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/chunked-upload{path}", headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_nobody_but_an_operator_gets_any_of_it(upload: Uploading) -> None:
    upload_id = await upload.begin(len(DATA))
    for method, path in (
        ("GET", "/overview"),
        ("POST", "/sweep"),
        ("GET", f"/all/{upload_id}"),
        ("DELETE", f"/all/{upload_id}"),
    ):
        answer = await upload.client.request(method, f"/chunked-upload{path}", json={})
        problem(answer, 404, "not-found")
    assert (await upload.status(upload_id)).json()["state"] == "receiving"


async def test_the_overview_has_queue_storage_and_paths(serve: Serve) -> None:
    async with serve(max_open=1) as client:
        upload = Uploading(client)
        first = await upload.begin(2 * len(DATA))
        assert (await upload.init(len(DATA), filename="next.mp4")).status_code == 202
        answer = await client.post(
            "/chunked-upload/chunk",
            params={"upload_id": first, "offset": 0, "refused": 256 * KiB, "refused_by": "nginx"},
            content=DATA,
            headers={"Host": "uploads.example"},
        )
        assert answer.status_code == 200
        found = await asked(client, "/overview")
        while not found["paths"]:  # what is learned is recorded each second
            found = await asked(client, "/overview")
    assert found["version"] == __version__
    assert found["uploads"] == {"waiting": 1, "receiving": 1, "completing": 0}
    assert found["max_open"] == 1
    assert found["waiting_since"] <= found["at"]
    assert found["storage"]["uploads"] == found["storage"]["waiting"] == 1
    assert found["storage"]["used"] == len(DATA)
    assert found["problems"] == []
    assert found["worker"] is None
    [path] = found["paths"]
    assert (path["host"], path["passes"], path["refuses"]) == (
        "uploads.example",
        len(DATA),
        256 * KiB,
    )
    assert (path["refused_by"], path["owners"], path["confirmed"]) == ("nginx", 1, False)


async def test_an_upload_of_another_owner_has_its_owner_and_its_moments(
    serve: Serve,
) -> None:
    async with serve(max_open=1) as client:
        upload = Uploading(client)
        first = await upload.begin(len(DATA))
        second = (await upload.init(len(DATA), filename="next.mp4")).json()["upload_id"]
        waiting = await asked(client, f"/all/{second}")
        assert (waiting["owner"], waiting["state"], waiting["position"]) == ("alice", "waiting", 1)
        assert waiting["queued_at"] >= waiting["created_at"]
        assert waiting["admitted_at"] is waiting["last_byte_at"] is None

        await upload.chunk(first, 0, DATA)
        begun = await asked(client, f"/all/{first}")
        assert begun["last_byte_at"] >= begun["admitted_at"] >= begun["created_at"]
        assert begun["completed_at"] is None
        await upload.complete(first)
        assert (await asked(client, f"/all/{first}"))["completed_at"] is not None
        assert (await asked(client, f"/all/{first}"))["ended_at"] is None
        await upload.cancel(second)
        ended = await asked(client, f"/all/{second}")
        assert ended["ended_at"] >= ended["created_at"]
        listed = (await asked(client, "/all?order=newest"))["uploads"]
        assert [each["upload_id"] for each in listed] == [second, first]
        assert {each["owner"] for each in listed} == {"alice"}
        mine = (await client.get(f"/chunked-upload/{first}")).json()
        assert "owner" not in mine


async def test_an_operator_cancels_what_another_owner_sends(
    upload: Uploading, tmp_path: Path
) -> None:
    upload_id = await upload.begin(2 * len(DATA))
    await upload.chunk(upload_id, 0, DATA)
    path = f"/chunked-upload/all/{upload_id}"
    assert (await upload.client.delete(path, headers=OPERATOR)).status_code == 204
    assert (await upload.client.delete(path, headers=OPERATOR)).status_code == 204
    assert (await upload.status(upload_id)).json()["state"] == "cancelled"
    assert not (tmp_path / "temp_chunks" / upload_id).exists()
    problem(await upload.chunk(upload_id, 0, DATA), 410, "upload-gone")


async def test_what_is_complete_is_not_cancelled_and_what_is_not_there_is_not_found(
    upload: Uploading,
) -> None:
    upload_id = await upload.begin(len(DATA))
    await upload.chunk(upload_id, 0, DATA)
    await upload.complete(upload_id)
    answer = await upload.client.delete(f"/chunked-upload/all/{upload_id}", headers=OPERATOR)
    problem(answer, 409, "upload-closed")
    assert await upload.file(upload_id) == DATA
    for method in ("GET", "DELETE"):
        path = "/chunked-upload/all/" + "0" * 32
        answer = await upload.client.request(method, path, headers=OPERATOR)
        problem(answer, 404, "upload-not-found")


async def test_a_sweep_is_tried_before_it_deletes(serve: Serve, tmp_path: Path) -> None:
    async with serve(keep_files=0.001) as client:
        upload = Uploading(client)
        upload_id = await upload.begin(len(DATA))
        await upload.chunk(upload_id, 0, DATA)
        await upload.complete(upload_id)

        async def swept(**wanted: bool) -> Any:
            answer = await client.post("/chunked-upload/sweep", json=wanted, headers=OPERATOR)
            assert answer.status_code == 200, answer.text
            return answer.json()

        item = {"action": "discard", "upload_id": upload_id, "bytes": len(DATA)}
        due = {"count": 1, "bytes": len(DATA), "swept": [item]}
        assert await swept(dry_run=True) == {"dry_run": True} | due
        assert len(list((tmp_path / "files").iterdir())) == 1
        assert await swept() == {"dry_run": False} | due
        assert list((tmp_path / "files").iterdir()) == []
        assert (await swept())["count"] == 0
