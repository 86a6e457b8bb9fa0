"""Receipts, as owners and guests get them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from awscrt.crypto import EC, ECType
from tests.core.test_receipts import pem
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry.core.digests import Digest, crc64
from wherry.core.ranges import Range
from wherry.core.receipts import Receipt, parse_public_keys, verify
from wherry.router import chunked_upload_router
from wherry.storage.localfile import LocalFile

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4 * 100


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "receipts.pem"
    file.write_text(pem(EC.new_generate(ECType.P_256)))
    return file


@pytest.fixture
async def upload(serve: Serve, key: Path) -> AsyncIterator[Uploading]:
    async with serve(receipt_key=str(key), guests=True) as client:
        yield Uploading(client)


async def complete(upload: Uploading) -> str:
    upload_id = await upload.begin(len(DATA))
    assert (await upload.chunk(upload_id, 0, DATA)).status_code == 200
    assert (await upload.complete(upload_id)).status_code == 200
    return upload_id


async def ask(upload: Uploading, upload_id: str, **query: str) -> httpx2.Response:
    return await upload.client.get(f"/chunked-upload/{upload_id}/receipt", params=query)


async def read(upload: Uploading, answer: httpx2.Response) -> Receipt:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/jose"
    keys = await upload.client.get("/chunked-upload/receipt-keys", headers={"Authorization": ""})
    return verify(answer.text, parse_public_keys(keys.text))


async def test_a_complete_upload_has_a_receipt(upload: Uploading) -> None:
    upload_id = await complete(upload)
    receipt = await read(upload, await ask(upload, upload_id))
    crc = str(Digest.of_crc(crc64(DATA)))
    assert f"crc64nvme=:{receipt.crc64nvme}:" == crc
    assert (receipt.upload_id, receipt.filename, receipt.size, receipt.sha256) == (
        upload_id,
        "film.mp4",
        len(DATA),
        None,
    )
    assert receipt.completed_at is not None
    again = await read(upload, await ask(upload, upload_id, sha256="true"))
    assert again.sha256 == hashlib.sha256(DATA).hexdigest()
    assert again.completed_at == receipt.completed_at
    head = await upload.client.head(f"/chunked-upload/{upload_id}/receipt")
    assert head.status_code == 200


@pytest.mark.parametrize("size", [0, 1000, 2 * 1024 * KiB])
async def test_a_file_that_came_in_one_request_has_a_receipt(upload: Uploading, size: int) -> None:
    data = bytes(size)
    disposition = {"Content-Disposition": 'attachment; filename="a.bin"'}
    done = await upload.client.post("/chunked-upload/upload", content=data, headers=disposition)
    receipt = await read(upload, await ask(upload, done.json()["upload_id"], sha256="true"))
    assert (receipt.size, receipt.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert receipt.completed_at is not None


async def test_a_sha256_is_read_once_and_outlives_the_file(upload: Uploading) -> None:
    known, unknown = await complete(upload), await complete(upload)
    before = await read(upload, await ask(upload, known, sha256="true"))
    for upload_id in (known, unknown):
        gone = await upload.client.delete(f"/chunked-upload/files/{upload_id}")
        assert gone.status_code == 204
    assert await read(upload, await ask(upload, known, sha256="true")) == before
    problem(await ask(upload, unknown, sha256="true"), 404, "not-found")
    assert (await read(upload, await ask(upload, unknown))).sha256 is None


async def test_a_file_that_was_changed_gets_no_receipt_of_its_sha256(
    upload: Uploading, tmp_path: Path
) -> None:
    upload_id = await complete(upload)
    [file] = (tmp_path / "files").iterdir()
    file.write_bytes(b"x" + DATA[1:])
    problem(await ask(upload, upload_id, sha256="true"), 500, "storage-failed")


async def test_only_a_complete_upload_of_ones_own_has_a_receipt(upload: Uploading) -> None:
    upload_id = await upload.begin(len(DATA))
    problem(await ask(upload, upload_id), 409, "upload-closed")
    await upload.cancel(upload_id)
    problem(await ask(upload, upload_id), 410, "upload-gone")
    upload_id = await complete(upload)
    path = f"/chunked-upload/{upload_id}/receipt"
    foreign = await upload.client.get(path, headers={"Authorization": "Bearer bob"})
    problem(foreign, 404, "upload-not-found")
    assert problem(await ask(upload, upload_id, sha256="1"), 400, "bad-request")


async def test_a_guest_gets_the_receipt_of_the_own_upload(upload: Uploading) -> None:
    of_owner = await complete(upload)
    made = await upload.client.post("/chunked-upload/guests", json={})
    guest = {"Authorization": f"Bearer {made.json()['ticket']}"}
    files = {"file": ("mine.bin", DATA)}
    done = await upload.client.post("/chunked-upload/upload", files=files, headers=guest)
    path = f"/chunked-upload/{done.json()['upload_id']}/receipt"
    receipt = await read(upload, await upload.client.get(path, headers=guest))
    assert receipt.filename == "mine.bin"
    foreign = await upload.client.get(f"/chunked-upload/{of_owner}/receipt", headers=guest)
    problem(foreign, 404, "upload-not-found")


async def test_one_file_at_a_time_is_read(
    upload: Uploading, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await complete(upload), await complete(upload)
    inside, go_on = threading.Event(), threading.Event()
    read_file = LocalFile.read

    def held(file: LocalFile, within: Range) -> Iterator[bytes]:
        inside.set()
        assert go_on.wait(60)
        return read_file(file, within)

    monkeypatch.setattr(LocalFile, "read", held)
    answers: list[httpx2.Response] = []

    async def begin() -> None:
        answers.append(await ask(upload, first, sha256="true"))

    async with anyio.create_task_group() as group:
        group.start_soon(begin)
        try:
            assert await anyio.to_thread.run_sync(inside.wait, 60)
            problem(await ask(upload, second, sha256="true"), 409, "busy")
            assert (await ask(upload, second)).status_code == 200
        finally:
            go_on.set()
    assert answers[0].status_code == 200
    assert (await ask(upload, second, sha256="true")).status_code == 200


async def test_receipts_of_a_key_that_was_replaced_stay_valid(
    serve: Serve, key: Path, tmp_path: Path
) -> None:
    async with serve(receipt_key=str(key)) as client:
        upload_id = await complete(Uploading(client))
        old = (await ask(Uploading(client), upload_id)).text
    new = tmp_path / "new.pem"
    new.write_text(pem(EC.new_generate(ECType.P_256)))
    async with serve(receipt_key=f"{new},{key}") as client:
        found = await client.get("/chunked-upload/receipt-keys")
        keys = parse_public_keys(found.text)
        assert len(keys) == 2
        assert verify(old, keys).upload_id == upload_id
        signed = (await ask(Uploading(client), upload_id)).text
        assert verify(signed, keys[:1]).upload_id == upload_id


async def test_without_a_key_there_are_no_receipts(serve: Serve) -> None:
    async with serve() as client:
        upload_id = await complete(Uploading(client))
        for path in (f"{upload_id}/receipt", "receipt-keys"):
            assert (await client.get(f"/chunked-upload/{path}")).status_code == 404


def test_a_file_without_a_key_is_named_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "receipts.pem"
    file.write_text("nothing")
    with pytest.raises(ValueError, match=r"receipts\.pem: it has no private key"):
        chunked_upload_router(owner=lambda: "me", data=tmp_path, receipt_key=[file])
