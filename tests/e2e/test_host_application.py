"""Our client and a host application with processing of its own."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from tests.e2e.conftest import make_file

from wherry.client import AsyncClient
from wherry.router import FinishedFile, chunked_upload_router

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1000, 6_000_000])
async def test_a_hand_over_that_fails_once_costs_no_second_upload(
    tmp_path: Path, size: int
) -> None:
    film = make_file(tmp_path / "film.mp4", size)
    calls: list[str] = []

    def on_complete(file: FinishedFile) -> str:
        calls.append(file.id)
        if len(calls) == 1:
            raise RuntimeError("their database is away")
        return "theirs"

    host = FastAPI()
    router = chunked_upload_router(
        owner=lambda: "alice", on_complete=on_complete, data=tmp_path / "data", min_free=0
    )
    host.include_router(router, prefix="/api")
    async with (
        host.router.lifespan_context(host),
        AsyncClient("http://host/api", transport=httpx2.ASGITransport(host)) as client,
    ):
        result = await client.upload(film)
    assert result.assessment_id == "theirs"
    assert len(calls) == 2
    assert set(calls) == {result.upload_id}
    [stored] = (tmp_path / "data" / "files").iterdir()
    assert stored.read_bytes() == film.read_bytes()
