"""A finished file is served and handed over the same way, wherever its storage keeps it."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.protocols.conftest import Serve

from wherry import app
from wherry.engine import FinishedFile, NoLocalPath
from wherry.protocols.stored import parse_range
from wherry.settings import Settings
from wherry.testing.memory.storage import MemoryStorage

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 16
SIZE = len(DATA)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> MemoryStorage:
    """Storage without a file of this machine, in the place of the local one."""
    storage = MemoryStorage()

    def open_storage(_: Settings) -> MemoryStorage:
        return storage

    monkeypatch.setattr(app, "open_storage", open_storage)
    return storage


@pytest.fixture(params=["local", "remote"])
async def client(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[httpx2.AsyncClient]:
    if request.param == "remote":
        request.getfixturevalue("remote")
    async with serve() as client:
        yield client


async def finished(client: httpx2.AsyncClient, data: bytes = DATA) -> str:
    answer = await client.post("/chunked-upload/upload", files={"file": ("a film.mp4", data)})
    assert answer.status_code == 200, answer.text
    return f"/chunked-upload/files/{answer.json()['upload_id']}"


async def test_the_whole_file_is_an_attachment(client: httpx2.AsyncClient) -> None:
    answer = await client.get(await finished(client))
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''a%20film.mp4"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        ("bytes=-99999", 0, SIZE),
        (f"bytes=4000-{SIZE + 5}", 4000, SIZE),
    ],
)
async def test_one_range_is_served(
    client: httpx2.AsyncClient, asked: str, start: int, end: int
) -> None:
    answer = await client.get(await finished(client), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)


async def test_a_range_behind_the_end_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get(await finished(client), headers={"Range": f"bytes={SIZE}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["pages=1-2", "bytes", "bytes=a-b", "bytes=9-2"])
async def test_a_range_that_is_none_gives_the_whole_file(
    client: httpx2.AsyncClient, asked: str
) -> None:
    answer = await client.get(await finished(client), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_a_range_of_another_version_is_the_whole_file(client: httpx2.AsyncClient) -> None:
    path = await finished(client)
    etag = (await client.head(path)).headers["etag"]
    for mark, status in ((etag, 206), ('"another"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": mark}
        assert (await client.get(path, headers=headers)).status_code == status


async def test_head_has_the_headers_of_get_and_no_body(client: httpx2.AsyncClient) -> None:
    path = await finished(client)
    head, get = await client.head(path), await client.get(path)
    assert head.content == b""
    names = ("content-length", "etag", "last-modified", "content-type", "content-disposition")
    assert [head.headers[name] for name in names] == [get.headers[name] for name in names]


async def test_an_empty_file_is_served(client: httpx2.AsyncClient) -> None:
    answer = await client.get(await finished(client, b""))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("header", ["", "bytes", "bytes=", "bytes=-", "lines=1-2", "bytes=9-2"])
@pytest.mark.parametrize("more", ["", ",4-5", "x"])
def test_a_range_that_is_none_is_ignored(header: str, more: str) -> None:
    assert parse_range(header + more, SIZE) is None


async def test_a_hook_reads_and_downloads_a_file_of_any_storage(
    serve: Serve, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    seen: list[str] = []

    def look(file: FinishedFile) -> None:
        with file.open() as opened:
            assert opened.read() == DATA
            opened.seek(SIZE - 3)
            assert opened.read() == DATA[-3:]
        to = tmp_path / f"copy-{len(seen)}"
        assert file.download(to) == to
        assert to.read_bytes() == DATA
        seen.append(file.id)

    def on_complete(file: FinishedFile) -> str:
        look(file)
        return file.id

    for name in (None, "remote"):
        if name is not None:
            request.getfixturevalue(name)
        async with serve(before_complete=look, on_complete=on_complete) as client:
            await finished(client)
    assert len(seen) == 4


async def test_a_hook_that_wants_a_path_is_told_what_to_do_instead(
    serve: Serve, remote: MemoryStorage
) -> None:
    refusals: list[str] = []

    def on_complete(file: FinishedFile) -> str:
        try:
            return str(file.path)
        except NoLocalPath as error:
            refusals.append(str(error))
            return file.id

    async with serve(on_complete=on_complete) as client:
        await finished(client)
    [sentence] = refusals
    assert "use open(), download(to) or url" in sentence


async def test_a_local_file_can_be_sent_to_another_process(serve: Serve) -> None:
    sent: list[FinishedFile] = []

    def on_complete(file: FinishedFile) -> str:
        sent.append(pickle.loads(pickle.dumps(file)))
        assert sent[0] == file
        return file.id

    async with serve(on_complete=on_complete) as client:
        await finished(client)
        assert sent[0].path.read_bytes() == DATA
        with sent[0].open() as opened:
            assert opened.read() == DATA
