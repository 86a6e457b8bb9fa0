"""Direct uploads with several real servers, and with one that is killed."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Api, make_file, sha256
from tests.storage.store_proxy import Fault, store_proxy

from wherry.client import Client
from wherry.core.digests import crc64
from wherry.core.limits import MiB
from wherry.testing.s3 import BUCKET, S3Server
from wherry.testing.server import Server, serving

PART = 5 * MiB


@pytest.fixture
def options(s3_options: dict[str, Any]) -> dict[str, Any]:
    return {**s3_options, "direct_uploads": True, "assessment": False}


@pytest.fixture
def files(s3_server: S3Server, tmp_path: Path) -> Path:
    return s3_server.folder / BUCKET / tmp_path.name / "files"


def send(api: Api, upload_id: str, data: bytes, *numbers: int) -> None:
    """Ask this server for addresses, and send the parts to the store."""
    parts = {n: data[(n - 1) * PART : n * PART] for n in numbers}
    asked = [
        {"number": n, "crc64nvme": base64.b64encode(crc64(part).to_bytes(8, "big")).decode()}
        for n, part in parts.items()
    ]
    wanted = {"upload_id": upload_id, "parts": asked}
    answer = api.http.post("/chunked-upload/direct", json=wanted)
    assert answer.is_success, answer.text
    for part in answer.json()["parts"]:
        sent = httpx2.put(part["url"], content=parts[part["number"]], headers=part["headers"])
        assert sent.is_success, sent.text


def report(api: Api, upload_id: str, *numbers: int) -> httpx2.Response:
    told = {"upload_id": upload_id, "parts": numbers}
    return api.http.post("/chunked-upload/direct/received", json=told)


def test_parts_are_addressed_by_one_pod_and_reported_to_another(
    tmp_path: Path, options: dict[str, Any], files: Path, database: str
) -> None:
    data = random.Random(11).randbytes(3 * PART + 77)
    own = options | {"database": database}
    with (
        serving(tmp_path / "one", **own) as one,
        serving(tmp_path / "two", **own) as two,
        Api(one.url) as first,
        Api(two.url) as second,
    ):
        upload_id = str(first.init(len(data))["upload_id"])
        send(second, upload_id, data, 2, 4)
        assert first.chunk(upload_id, 0, data[:PART]).is_success
        assert report(first, upload_id, 2, 4).is_success
        again = report(second, upload_id, 4, 2)
        assert again.json() == report(first, upload_id, 2, 4).json()
        assert again.json()["missing"] == [[2 * PART, 3 * PART]]
        send(first, upload_id, data, 3)
        assert report(second, upload_id, 3).json()["offset"] == len(data)
        answers = [pod.complete(upload_id) for pod in (first, second)]
        assert all(answer.is_success for answer in answers)
        assert answers[0].text == answers[1].text
    assert (files / f"{upload_id}.mp4").read_bytes() == data


def test_a_server_that_is_killed_while_parts_are_under_way_loses_none(
    tmp_path: Path, options: dict[str, Any], files: Path, s3_server: S3Server
) -> None:
    film = make_file(tmp_path / "film.mp4", 8 * PART + 77)
    with store_proxy(s3_server.endpoint) as proxy:
        server = Server(tmp_path / "data", **options, s3_public_endpoint=proxy.endpoint)

        def kill() -> None:
            server.kill()
            server.start()

        # A part is in the store, and its client has no answer yet.
        killing = [Fault("UploadPart", 1, 200, then=kill) for _ in range(2)]
        proxy.faults = [
            Fault("UploadPart", 1, 200),
            killing[0],
            Fault("UploadPart", 2, 200),
            killing[1],
        ]
        try:
            server.start()
            result = Client(f"{server.url}/api").upload(film)
        finally:
            server.stop()
        assert not any(fault.times for fault in killing)
    assert sha256(files / f"{result.upload_id}.mp4") == sha256(film)
    assert result.direct_bytes > 0
