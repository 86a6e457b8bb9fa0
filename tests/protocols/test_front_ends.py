"""The wire forms of Resumable.js, Flow.js, Dropzone and FilePond; tests/web has the real ones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve, process

from wherry.core.errors import UploadError, every_error
from wherry.engine import FinishedFile
from wherry.protocols import waiting
from wherry.protocols.frontends.refusals import FINAL, status_of
from wherry.router import ContentRefused

pytestmark = pytest.mark.anyio

CHUNK = 64 * KiB
DATA = random.Random(5).randbytes(5 * CHUNK + 1000)
RESUMABLE, DROPZONE, FILEPOND = (
    f"/chunked-upload/{n}" for n in ("resumable", "dropzone", "filepond")
)
BOB = {"Authorization": "Bearer bob"}


#: How long a refusal waits at most in these tests, in seconds.
WAIT = 0.3


@pytest.fixture(autouse=True)
def _waits_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LONGEST_WAIT", WAIT)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No chunk waits for anything, until this is undone."""
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    return monkeypatch


@pytest.fixture
async def client(serve: Serve, begun: list[FinishedFile]) -> AsyncIterator[httpx2.AsyncClient]:
    async with serve(front_ends=True, on_complete=process) as client:
        yield client


def numbered(number: int, data: bytes = DATA, prefix: str = "resumable", **more: Any) -> Any:
    """What Resumable.js says: its last chunk has up to twice the size."""
    count = max(len(data) // CHUNK, 1)
    start = (number - 1) * CHUNK
    end = len(data) if number == count else start + CHUNK
    said = {
        "ChunkNumber": number,
        "ChunkSize": CHUNK,
        "CurrentChunkSize": end - start,
        "TotalSize": len(data),
        "Type": "video/mp4",
        "Identifier": f"{len(data)}-filmmp4",
        "Filename": "film.mp4",
        "RelativePath": "film.mp4",
        "TotalChunks": count,
    }
    return {f"{prefix}{name}": str(value) for name, value in (said | more).items()}


async def send(client: httpx2.AsyncClient, number: int, **options: Any) -> httpx2.Response:
    data, headers = options.pop("data", DATA), options.pop("headers", None)
    said = numbered(number, data, **options)
    start = (number - 1) * CHUNK
    size = next(int(v) for k, v in said.items() if k.endswith("CurrentChunkSize"))
    part = {"file": ("film.mp4", data[start : start + size])}
    return await client.post(RESUMABLE, data=said, files=part, headers=headers)


async def ask(client: httpx2.AsyncClient, number: int, **options: Any) -> int:
    answer = await client.get(RESUMABLE, params=numbered(number), **options)
    return answer.status_code


async def stored(client: httpx2.AsyncClient, upload_id: str) -> bytes:
    return (await client.get(f"/chunked-upload/files/{upload_id}")).content


async def test_chunks_in_any_order_and_at_once_are_one_file_and_one_assessment(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    answers = await asyncio.gather(*(send(client, number) for number in (5, 2, 4, 1, 3)))
    assert [answer.status_code for answer in answers] == [200] * 5
    found = [a.json()["assessment_id"] for a in answers if a.json()["state"] == "complete"]
    assert found
    assert set(found) == {"assessment-1"}
    (file,) = begun
    assert (file.filename, file.size, file.owner) == ("film.mp4", len(DATA), "alice")
    assert await stored(client, answers[0].json()["upload_id"]) == DATA


async def test_a_chunk_that_comes_again_gets_the_same_assessment(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    first = [(await send(client, number)).json() for number in range(1, 6)]
    again = [(await send(client, number)).json() for number in (5, 1)]
    assert first[-1]["assessment_id"] == "assessment-1"
    assert again == [first[-1], first[-1]]
    assert len(begun) == 1


async def test_only_chunks_that_are_safe_are_not_sent_again(client: httpx2.AsyncClient) -> None:
    assert await ask(client, 1) == 204
    await send(client, 1)
    await send(client, 3)
    assert [await ask(client, number) for number in (1, 2, 3, 5)] == [200, 204, 200, 204]
    await send(client, 2)
    await send(client, 4)
    await send(client, 5)
    assert [await ask(client, number) for number in (1, 5)] == [200, 200]


async def test_the_last_chunk_comes_again_until_the_upload_is_complete(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    """As after a crash between the last byte and the completion."""
    upload_id = (await send(client, 1)).json()["upload_id"]
    query = {"upload_id": upload_id, "offset": CHUNK}
    await client.post("/chunked-upload/chunk", params=query, content=DATA[CHUNK:])
    assert [await ask(client, number) for number in (1, 4, 5)] == [200, 200, 204]
    assert begun == []
    assert (await send(client, 5)).json()["assessment_id"] == "assessment-1"


async def test_two_users_or_two_identifiers_are_two_uploads(client: httpx2.AsyncClient) -> None:
    alices = (await send(client, 1)).json()
    assert await ask(client, 1, headers=BOB) == 204
    bobs = (await send(client, 2, headers=BOB)).json()
    assert alices["upload_id"] != bobs["upload_id"]
    assert (alices["received_bytes"], bobs["received_bytes"]) == (CHUNK, CHUNK)
    others = (await send(client, 2, Identifier="another film")).json()
    assert others["upload_id"] not in (alices["upload_id"], bobs["upload_id"])
    assert await ask(client, 2) == 204


@pytest.mark.parametrize(
    ("prefix", "renamed"),
    [
        ("flow", {}),
        ("my.resumable", {}),
        ("", {"ChunkNumber": "chunk_number", "Identifier": "file-identifier"}),
        ("upload", {"TotalSize": "totalsize"}),
    ],
)
async def test_raw_chunks_have_their_parameters_in_the_query_by_any_usual_name(
    client: httpx2.AsyncClient, begun: list[FinishedFile], prefix: str, renamed: dict[str, str]
) -> None:
    data = DATA[: CHUNK + 7]
    said = numbered(1, data, prefix="") | {"course": "physics", "RelativePath": "a/film.mp4"}
    query = {renamed.get(k, k if k == "course" else f"{prefix}{k}"): v for k, v in said.items()}
    answer = await client.post(RESUMABLE, params=query, content=data)
    assert answer.json()["assessment_id"] == "assessment-1", answer.text
    (file,) = begun
    assert file.filename == "film.mp4"
    assert file.metadata["course"] == "physics"
    assert await stored(client, answer.json()["upload_id"]) == data


async def test_a_file_without_bytes_is_complete(client: httpx2.AsyncClient) -> None:
    assert (await send(client, 1, data=b"")).json()["assessment_id"] == "assessment-1"


async def test_a_chunk_with_another_number_of_bytes_is_refused_for_good(
    client: httpx2.AsyncClient,
) -> None:
    said = numbered(1)
    for data in (DATA[: CHUNK - 1], DATA[: CHUNK + 10]):
        answer = await client.post(RESUMABLE, params=said, content=data)
        assert answer.status_code == 400
    answer = await client.post(RESUMABLE, params=numbered(6, TotalChunks=6), content=DATA[:CHUNK])
    assert (answer.status_code, answer.json()["code"]) == (400, "range-outside")
    assert (await client.get("/chunked-upload")).json()["uploads"] == []


async def test_nothing_is_begun_with_chunks_of_a_size_that_is_refused(serve: Serve) -> None:
    async with serve(front_ends=True, min_chunk=CHUNK + 1, chunk_size=CHUNK + 1) as client:
        answer = await send(client, 1)
        assert (answer.status_code, answer.json()["code"]) == (400, "chunk-below-minimum")
        assert (await client.get("/chunked-upload")).json()["uploads"] == []


async def test_no_later_chunk_goes_on_with_an_upload_that_has_ended(
    client: httpx2.AsyncClient, impatient: pytest.MonkeyPatch
) -> None:
    """Else the page would say that the file has arrived, and chunks would be missing."""
    upload_id = (await send(client, 1)).json()["upload_id"]
    await client.delete(f"/chunked-upload/{upload_id}")
    assert await ask(client, 1) == 204
    late = await send(client, 2)
    assert (late.status_code, late.json()["code"]) == (400, "upload-gone")
    impatient.undo()
    # A page that sends the file anew sends the first chunk, too, whichever arrives first.
    second, first = await asyncio.gather(send(client, 2), send(client, 1))
    assert first.json()["upload_id"] == second.json()["upload_id"] != upload_id


async def test_an_upload_waits_in_the_queue_without_an_answer_that_ends_it(
    serve: Serve,
) -> None:
    async with serve(front_ends=True, max_open=1) as client:
        begun = await client.post("/chunked-upload/init", json={"filename": "a", "size": 9})
        chunk = asyncio.ensure_future(send(client, 1))
        while not (found := (await client.get("/chunked-upload?state=waiting")).json()["uploads"]):
            await asyncio.sleep(0.01)
        assert found[0]["position"] == 1
        await client.delete(f"/chunked-upload/{begun.json()['upload_id']}")
        assert (await chunk).json()["received_bytes"] == CHUNK


@pytest.mark.usefixtures("impatient")
async def test_an_upload_that_has_waited_too_long_is_to_be_asked_for_again(serve: Serve) -> None:
    async with serve(front_ends=True, max_open=1) as client:
        await client.post("/chunked-upload/init", json={"filename": "a", "size": CHUNK})
        answer = await send(client, 1)
        assert (answer.status_code, answer.json()["code"]) == (429, "waiting")


@pytest.mark.usefixtures("impatient")
async def test_a_file_that_a_hook_refuses_is_never_said_to_have_arrived(serve: Serve) -> None:
    def refuse(_: FinishedFile) -> None:
        raise ContentRefused("a virus")

    async with serve(front_ends=True, before_complete=refuse) as client:
        answers = [await send(client, number) for number in (1, 2, 3, 4, 5, 5)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [400] * 2
        assert [a.json()["code"] for a in answers[4:]] == ["content-refused", "upload-gone"]


async def test_a_slow_hook_is_no_failure(serve: Serve) -> None:
    may_return = asyncio.Event()

    async def slow(_: FinishedFile) -> str:
        await may_return.wait()
        return "late"

    async with serve(front_ends=True, on_complete=slow, answer_within=0.1) as client:
        answers = [await send(client, number) for number in (1, 2, 3, 4, 5)]
        assert answers[-1].status_code == 202
        assert await ask(client, 5) == 204
        may_return.set()
        while (answer := await send(client, 5)).status_code == 202:
            pass
        assert answer.json()["assessment_id"] == "late"


@pytest.mark.parametrize("error", list(every_error()), ids=lambda error: error.code)
def test_a_refusal_is_final_if_and_only_if_a_repeated_request_is_in_vain(
    error: type[UploadError],
) -> None:
    assert (status_of(error) in FINAL) != error.retryable


async def test_a_refusal_that_says_when_to_come_back_waits_first(
    serve: Serve,
) -> None:
    """These front ends come back at once, and give up after a few times."""
    async with serve(front_ends=True, max_open=1, max_waiting=0) as client:
        await client.post("/chunked-upload/init", json={"filename": "a", "size": 9})
        begun = asyncio.get_running_loop().time()
        answer = await send(client, 1)
        assert (answer.status_code, answer.json()["code"]) == (503, "no-room")
        assert asyncio.get_running_loop().time() - begun >= WAIT


async def test_they_are_there_only_where_the_setting_says_so(serve: Serve) -> None:
    async with serve() as client:
        assert (await client.post(DROPZONE, files={"file": ("a", b"a")})).status_code in (404, 405)


# Dropzone.


def dropped(index: int, **more: Any) -> Any:
    return {
        "dzuuid": "4f9ec1b2-0000-4000-8000-000000000000",
        "dzchunkindex": str(index),
        "dztotalfilesize": str(len(DATA)),
        "dzchunksize": str(CHUNK),
        "dztotalchunkcount": "6",
        "dzchunkbyteoffset": str(index * CHUNK),
    } | more


async def test_dropzone_sends_chunks(client: httpx2.AsyncClient, begun: list[FinishedFile]) -> None:
    answers = []
    for index in (3, 0, 5, 1, 2, 4):
        part = {"video[0]": ("film.mp4", DATA[index * CHUNK :][:CHUNK])}
        said = dropped(index, course="physics")
        answers.append((await client.post(DROPZONE, data=said, files=part)).json())
    assert [answer["assessment_id"] for answer in answers] == [None] * 5 + ["assessment-1"]
    assert begun[0].metadata == {"course": "physics"}
    assert await stored(client, answers[0]["upload_id"]) == DATA


async def test_dropzone_sends_a_whole_file(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    part = {"file": ("film.mp4", DATA, "video/mp4")}
    answer = await client.post(DROPZONE, data={"course": "physics"}, files=part)
    assert answer.json()["assessment_id"] == "assessment-1"
    assert begun[0].metadata == {"course": "physics"}
    two = [("file[0]", ("a.mp4", b"a")), ("file[1]", ("b.mp4", b"b"))]
    assert (await client.post(DROPZONE, files=two)).status_code == 400
    assert (await client.post(DROPZONE, content=DATA)).status_code == 400
    assert len(begun) == 1


# FilePond.


async def begin(client: httpx2.AsyncClient, size: int = len(DATA)) -> str:
    answer = await client.post(
        FILEPOND, files={"filepond": (None, "{}")}, headers={"Upload-Length": str(size)}
    )
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


async def patch(
    client: httpx2.AsyncClient, transfer: str, at: int, data: bytes, **more: str
) -> httpx2.Response:
    headers = {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(at),
        "Upload-Length": str(len(DATA)),
        "Upload-Name": "Übung.mp4".encode().decode("latin-1"),
    }
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return await client.patch(FILEPOND, params={"patch": transfer}, content=data, headers=encoded)


async def offset(client: httpx2.AsyncClient, transfer: str) -> str:
    answer = await client.head(FILEPOND, params={"patch": transfer})
    assert answer.content == b""
    return answer.headers.get("upload-offset", str(answer.status_code))


async def test_filepond_sends_chunks_and_its_id_is_the_uploads(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    transfer = await begin(client)
    assert await offset(client, transfer) == "0"
    size = 2 * CHUNK
    for at in range(0, len(DATA), size):
        answer = await patch(client, transfer, at, DATA[at : at + size])
        assert answer.status_code == 200, answer.text
    assert answer.json()["assessment_id"] == "assessment-1"
    assert (begun[0].id, begun[0].filename) == (transfer, "Übung.mp4")
    assert await stored(client, transfer) == DATA
    assert await offset(client, transfer) == str(len(DATA))


async def test_filepond_goes_on_where_a_chunk_begins(client: httpx2.AsyncClient) -> None:
    """It takes each chunk for complete that begins before the offset."""
    transfer, size = await begin(client), 2 * CHUNK
    await patch(client, transfer, 0, DATA[:size])
    query: dict[str, str | int] = {"upload_id": transfer, "offset": size}
    await client.post("/chunked-upload/chunk", params=query, content=DATA[size:][:CHUNK])
    assert await offset(client, transfer) == str(size)
    query["offset"] = size + CHUNK
    await client.post("/chunked-upload/chunk", params=query, content=DATA[size + CHUNK :])
    assert await offset(client, transfer) == str(2 * size), "the last chunk completes the upload"
    answer = await patch(client, transfer, 2 * size, DATA[2 * size :])
    assert answer.json()["assessment_id"] == "assessment-1"


async def test_the_chunk_without_bytes_that_filepond_sends_last_is_no_mistake(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    transfer, size = await begin(client, CHUNK), {"Upload_Length": str(CHUNK)}
    first = await patch(client, transfer, 0, DATA[:CHUNK], **size)
    last = await patch(client, transfer, CHUNK, b"", **size)
    assert first.json() == last.json()
    assert len(begun) == 1


async def test_an_upload_of_another_protocol_is_begun_anew_whatever_its_metadata_say(
    client: httpx2.AsyncClient,
) -> None:
    metadata = {"filepond_chunk_size": "large"}
    create = {"filename": "a.mp4", "size": len(DATA), "metadata": metadata}
    upload = (await client.post("/chunked-upload/init", json=create)).json()
    assert await offset(client, upload["upload_id"]) == "0"


async def test_nobody_takes_the_id_of_somebody_else(client: httpx2.AsyncClient) -> None:
    transfer = await begin(client)
    await patch(client, transfer, 0, DATA[:CHUNK])
    client.headers |= BOB
    assert (await patch(client, transfer, 0, DATA[:CHUNK])).status_code == 404
    assert (await patch(client, transfer, CHUNK, DATA[:CHUNK])).status_code == 404
    assert await offset(client, transfer) == "0"
    await client.request("DELETE", FILEPOND, content=transfer)
    client.headers |= {"Authorization": "Bearer alice"}
    assert await offset(client, transfer) == str(CHUNK)


async def test_an_id_that_has_no_upload_takes_no_later_chunk(client: httpx2.AsyncClient) -> None:
    answer = await patch(client, await begin(client), CHUNK, DATA[CHUNK:][:CHUNK])
    assert answer.status_code == 404


async def test_first_chunks_at_once_are_one_upload(client: httpx2.AsyncClient) -> None:
    transfer = await begin(client)
    answers = await asyncio.gather(*(patch(client, transfer, 0, DATA[:CHUNK]) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert (await patch(client, transfer, 0, DATA[:CHUNK])).json()["received_bytes"] == CHUNK
    assert len((await client.get("/chunked-upload")).json()["uploads"]) == 1


async def test_filepond_reverts_what_is_unfinished_and_what_is_complete(
    client: httpx2.AsyncClient,
) -> None:
    transfer = await begin(client)
    never_begun = await client.request("DELETE", FILEPOND, content=transfer)
    assert never_begun.status_code == 204
    await patch(client, transfer, 0, DATA[:CHUNK])
    assert (await client.request("DELETE", FILEPOND, content=transfer)).status_code == 204
    assert (await patch(client, transfer, CHUNK, DATA[CHUNK:])).json()["code"] == "upload-gone"
    assert await offset(client, transfer) == "400"
    form: Any = [("filepond", (None, "{}")), ("filepond", ("film.mp4", DATA, "video/mp4"))]
    whole = await client.post(FILEPOND, files=form)
    assert await stored(client, whole.text) == DATA
    assert (await client.request("DELETE", FILEPOND, content=whole.text)).status_code == 204
    assert (await client.get(f"/chunked-upload/files/{whole.text}")).status_code == 404


async def test_a_file_that_is_too_large_is_refused_before_its_first_chunk(serve: Serve) -> None:
    async with serve(front_ends=True, max_size=len(DATA) - 1) as client:
        headers = {"Upload-Length": str(len(DATA))}
        answer = await client.post(FILEPOND, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "too-large")
        assert (await send(client, 1)).json()["code"] == "too-large"
