"""Resumable uploads of the IETF by their requests; `ietf` names what of the drafts a test shows.

The sections are those of draft -11, the last one whose text has all of them. Interim responses need
a real connection: tests/server/test_ietf_connections.py.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.protocols.conftest import LARGEST, KiB, Serve, Uploading

from wherry.core.digests import crc64
from wherry.core.errors import BodyCut, Busy, OffsetDiffers, every_error
from wherry.engine import FinishedFile
from wherry.protocols.ietf.routes import status_of
from wherry.protocols.ietf.versions import VERSIONS
from wherry.router import ContentRefused

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("refuses_at_once")]

DATA = random.Random(9).randbytes(300 * KiB + 77)
SIZE = len(DATA)
BOB = {"Authorization": "Bearer bob"}
PARTIAL = "application/partial-upload"
TYPES = "https://iana.org/assignments/http-problem-types#"
NEWEST = max(VERSIONS)
#: Where an upload may begin.
PLACES = ("/chunked-upload/upload", "/files/", "/files")
ietf = pytest.mark.ietf


@pytest.fixture
def client(processing: httpx2.AsyncClient, begun: list[FinishedFile]) -> httpx2.AsyncClient:
    return processing


def fields(version: int, is_last: bool | None, **more: Any) -> dict[str, str]:
    """The headers of a request of this version."""
    row = VERSIONS[version]
    found = {"Upload-Draft-Interop-Version": str(version)}
    if is_last is not None:
        found |= row.tell(is_last)
    return found | {name.replace("_", "-"): str(value) for name, value in more.items()}


async def begin(
    client: httpx2.AsyncClient,
    data: bytes = b"",
    *,
    place: str = PLACES[0],
    version: int = NEWEST,
    **more: Any,
) -> str:
    headers = fields(version, False, **more)
    answer = await client.post(place, content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    return where(answer)


def where(answer: httpx2.Response) -> str:
    return str(answer.url.join(answer.headers["location"]))


async def patch(
    client: httpx2.AsyncClient,
    url: str,
    at: int,
    data: Any,
    *,
    is_last: bool = False,
    version: int = NEWEST,
    **more: Any,
) -> httpx2.Response:
    given = {"Upload_Offset": at, "Content_Type": PARTIAL} | more
    headers = fields(version, is_last, **given)
    return await client.patch(url, content=data, headers=headers)


async def head(client: httpx2.AsyncClient, url: str, version: int = NEWEST) -> httpx2.Response:
    answer = await client.head(url, headers=fields(version, None))
    assert answer.status_code == 204
    return answer


async def offset(client: httpx2.AsyncClient, url: str) -> int:
    return int((await head(client, url)).headers["upload-offset"])


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body of unknown length."""
    for piece in pieces:
        yield piece


def id_of(url: str) -> str:
    return url.rpartition("/")[2]


async def stored(client: httpx2.AsyncClient, url: str) -> bytes:
    return (await client.get(f"/chunked-upload/files/{id_of(url)}")).content


def digest(data: bytes) -> str:
    return f"crc64nvme=:{base64.b64encode(crc64(data).to_bytes(8, 'big')).decode()}:"


@ietf("4.2 Creation", "an incomplete one answers 201 with Location and Upload-Limit")
@ietf("4.3 Offset retrieval", "Upload-Offset, Upload-Complete, Upload-Length, no-store")
@ietf("4.4 Append", "an incomplete one answers 2xx with Upload-Complete: ?0")
@ietf("4.4 Append", "the last one has the answer of the target resource, with Upload-Complete: ?1")
@pytest.mark.parametrize("place", PLACES)
async def test_a_file_in_pieces_is_one_file_and_one_assessment(
    client: httpx2.AsyncClient, begun: list[FinishedFile], place: str
) -> None:
    more = {"Content_Disposition": 'inline; filename="film.mp4"', "Content_Type": "video/mp4"}
    for version, row in VERSIONS.items():
        begun.clear()
        created = await client.post(
            place, content=DATA[:9], headers=fields(version, False, Upload_Length=SIZE, **more)
        )
        assert (created.status_code, created.headers["upload-offset"]) == (201, "9")
        assert row.lifetime in created.headers["upload-limit"]
        url = where(created)
        sent = await patch(client, url, 9, DATA[9:1000], version=version)
        assert sent.status_code == 204, sent.text
        for method in ("HEAD", "GET"):
            told = await client.request(method, url, headers=fields(version, None))
            assert (told.status_code, told.content) == (204, b"")
            assert told.headers["upload-offset"] == "1000"
            assert told.headers["upload-length"] == str(SIZE)
            assert told.headers["cache-control"] == "no-store"
            assert told.headers[row.completeness] == row.tell(False)[row.completeness]
        assert begun == []
        done = await patch(client, url, 1000, DATA[1000:], is_last=True, version=version)
        assert (done.status_code, done.json()["assessment_id"]) == (200, "assessment-1")
        assert done.headers[row.completeness] == row.tell(True)[row.completeness]
        (file,) = begun
        assert (file.filename, file.content_type, file.size) == ("film.mp4", "video/mp4", SIZE)
        assert await stored(client, url) == DATA
        told = await head(client, url, version)
        assert told.headers[row.completeness] == row.tell(True)[row.completeness]


@ietf("4.2 Creation", "?1 with the whole file has the answer of the target resource")
@pytest.mark.parametrize("size", [0, 100, SIZE])
async def test_an_ordinary_upload_may_say_that_it_is_complete(
    client: httpx2.AsyncClient, begun: list[FinishedFile], size: int
) -> None:
    for version in (*VERSIONS, None):
        begun.clear()
        headers = {"Upload-Complete": "?1"} if version is None else fields(version, True)
        answer = await client.post(PLACES[0], content=DATA[:size], headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["size"] == size
        assert answer.json()["assessment_id"] == "assessment-1"
        assert len(begun) == 1
        ordinary = await client.post(
            PLACES[0], content=b"x", headers={"Content-Disposition": 'attachment; filename="a"'}
        )
        assert ordinary.json().keys() == answer.json().keys()


@ietf("4.1.2 Completeness", "another value than a Boolean is ignored: the request is ordinary")
@pytest.mark.parametrize("value", ["1", "true", "?2", '"?1"', "", "(?1)"])
async def test_a_value_that_is_no_boolean_is_ignored(
    client: httpx2.AsyncClient, begun: list[FinishedFile], value: str
) -> None:
    headers = {"Upload-Complete": value, "Content-Disposition": 'attachment; filename="a.mp4"'}
    answer = await client.post(PLACES[0], content=DATA, headers=headers)
    assert answer.status_code == 200
    assert "upload-complete" not in answer.headers
    assert len(begun) == 1


@ietf("4.1.2 Completeness", "parameters are allowed")
async def test_parameters_are_allowed(client: httpx2.AsyncClient) -> None:
    headers = {"Upload-Complete": "?0;x=1"}
    assert (await client.post(PLACES[0], content=b"film", headers=headers)).status_code == 201


async def test_a_form_is_an_ordinary_upload_whatever_it_says(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    for version in VERSIONS:
        begun.clear()
        answer = await client.post(
            PLACES[0], files={"file": ("film.mp4", DATA)}, headers=fields(version, True)
        )
        assert answer.status_code == 200, answer.text
        (file,) = begun
        assert (file.filename, file.size) == ("film.mp4", SIZE)


async def test_an_idempotency_key_means_an_ordinary_upload(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    named = {"Content-Disposition": 'attachment; filename="a.mp4"', "Idempotency-Key": '"k"'}
    headers = fields(NEWEST, True) | named
    first, again = [await client.post(PLACES[0], content=DATA, headers=headers) for _ in range(2)]
    assert first.json() == again.json()
    assert len(begun) == 1


async def test_metadata_of_tus_name_the_file(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    """As tus-js-client sends them."""
    given = {"filename": "folder/film.mp4", "filetype": "video/mp4", "task": "42"}
    pairs = [f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in given.items()]
    url = await begin(client, DATA, Upload_Metadata=",".join(pairs), Content_Type=PARTIAL)
    await patch(client, url, SIZE, b"", is_last=True)
    (file,) = begun
    assert (file.filename, file.content_type) == ("film.mp4", "video/mp4")
    assert file.metadata == given
    headers = fields(NEWEST, False, Upload_Metadata="a b")
    assert (await client.post(PLACES[0], headers=headers)).status_code == 400


@ietf("4.2 Creation", "the body may be empty, and the file, too")
async def test_a_careful_creation_has_no_bytes(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client)
    assert await offset(client, url) == 0
    assert "upload-length" not in (await head(client, url)).headers
    answer = await patch(client, url, 0, b"", is_last=True)
    assert (answer.status_code, answer.json()["size"]) == (200, 0)
    assert len(begun) == 1


@ietf("4.1.3 Length", "the length does not complete the upload; an empty append with ?1 does")
async def test_only_the_client_completes_it(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client, Upload_Length=SIZE)
    assert (await patch(client, url, 0, DATA)).status_code == 204
    told = await head(client, url)
    assert (told.headers["upload-offset"], told.headers["upload-complete"]) == (str(SIZE), "?0")
    assert begun == []
    answer = await patch(client, url, SIZE, b"", is_last=True)
    assert (answer.status_code, answer.headers["upload-complete"]) == (200, "?1")
    assert len(begun) == 1


@ietf("4.4 Append", "a lost answer to the last append is given again")
async def test_the_answer_of_a_complete_upload_is_given_again(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client)
    done = await patch(client, url, 0, DATA, is_last=True)
    lost = await patch(client, url, 0, DATA, is_last=True)
    assert (lost.status_code, lost.headers["upload-offset"]) == (409, str(SIZE))
    again = await patch(client, url, SIZE, b"", is_last=True)
    assert (again.status_code, again.json()) == (200, done.json())
    assert again.headers["upload-complete"] == "?1"
    assert len(begun) == 1


@ietf("4.4 Append", "nothing is appended to a complete upload")
async def test_a_complete_upload_takes_no_more(client: httpx2.AsyncClient) -> None:
    for version in VERSIONS:
        url = await begin(client, version=version)
        await patch(client, url, 0, DATA, is_last=True, version=version)
        for is_last, data in ((True, b"x"), (False, b"x"), (False, b"")):
            answer = await patch(client, url, SIZE, data, is_last=is_last, version=version)
            assert (answer.status_code, answer.json()["type"]) == (400, f"{TYPES}completed-upload")
        assert await stored(client, url) == DATA


@ietf("4.4 Append", "at another offset it is refused by 409 with the right one and ?0")
@ietf("7.1 Mismatching offset", "the problem has both offsets")
async def test_bytes_at_another_offset_are_refused(client: httpx2.AsyncClient) -> None:
    url = await begin(client, DATA[:1000])
    for at in (0, 999, 1001, SIZE):
        answer = await patch(client, url, at, b"x")
        assert (answer.status_code, answer.headers["upload-offset"]) == (409, "1000")
        assert answer.headers["upload-complete"] == "?0"
        problem = answer.json()
        assert problem["type"] == f"{TYPES}mismatching-upload-offset"
        assert (problem["expected-offset"], problem["provided-offset"]) == (1000, at)
    assert await offset(client, url) == 1000


@ietf("4.1.1 Offset", "another value than a whole number is ignored, and then it is missing")
@ietf("4.4 Append", "Upload-Offset and Upload-Complete are needed")
@pytest.mark.parametrize("wrong", ["-1", "1.0", "x", "", "9" * 16, '"1"'])
async def test_an_append_needs_its_offset(client: httpx2.AsyncClient, wrong: str) -> None:
    url = await begin(client)
    assert (await patch(client, url, 0, b"x", Upload_Offset=wrong)).status_code == 400
    assert (await patch(client, url, 0, b"x", Upload_Complete="x")).status_code == 400
    assert await offset(client, url) == 0


@ietf("6 Media type", "PATCH has application/partial-upload, from interop version 6 on")
async def test_the_media_type_is_needed_from_version_6_on(client: httpx2.AsyncClient) -> None:
    for version in VERSIONS:
        url = await begin(client, version=version)
        octets = "application/octet-stream"
        answer = await patch(client, url, 0, b"x", version=version, Content_Type=octets)
        assert answer.status_code == (415 if version >= 6 else 204)


@ietf("4.1.3 Length", "lengths that contradict each other are refused by 400")
@ietf("7.2 Inconsistent length", "the problem has its type")
async def test_lengths_must_agree(client: httpx2.AsyncClient, begun: list[FinishedFile]) -> None:
    headers = fields(NEWEST, True, Upload_Length=SIZE + 1)
    created = await client.post(PLACES[0], content=DATA, headers=headers)
    url = await begin(client, Upload_Length=SIZE)
    appended = await patch(client, url, 0, DATA[:9], Upload_Length=SIZE + 1)
    short = await patch(client, url, 0, DATA[:9], is_last=True)
    for answer in (created, appended, short):
        assert answer.status_code == 400, answer.text
        assert answer.json()["type"] == f"{TYPES}inconsistent-upload-length"
        assert answer.headers["upload-complete"] == "?0"
    assert await offset(client, url) == 0
    assert begun == []


async def test_a_body_of_unknown_length_that_ends_early_does_not_complete_the_upload(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client, Upload_Length=SIZE)
    answer = await patch(client, url, 0, in_pieces(DATA[:1000]), is_last=True)
    assert answer.status_code == 400
    assert await offset(client, url) == 1000
    answer = await patch(client, url, 1000, in_pieces(DATA[1000:]), is_last=True)
    assert answer.status_code == 200
    assert await stored(client, url) == DATA
    assert len(begun) == 1


@ietf("4.1.3 Length", "it may come later, or only with the end")
async def test_the_length_may_come_later(client: httpx2.AsyncClient) -> None:
    url = await begin(client, DATA[:9])
    await patch(client, url, 9, DATA[9:99], Upload_Length=SIZE)
    assert (await head(client, url)).headers["upload-length"] == str(SIZE)
    await patch(client, url, 99, DATA[99:], is_last=True)
    assert await stored(client, url) == DATA
    answer = await client.post(
        PLACES[0], content=in_pieces(DATA[:9], DATA[9:]), headers=fields(NEWEST, True)
    )
    assert (answer.status_code, answer.json()["size"]) == (200, SIZE)


@ietf("4.4 Append", "bytes beyond the length end the upload, also without Content-Length")
@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("is_last", [True, False])
async def test_bytes_beyond_the_length_are_refused(
    client: httpx2.AsyncClient, is_announced: bool, is_last: bool
) -> None:
    for version in VERSIONS:
        url = await begin(client, version=version, Upload_Length=1000)
        data = DATA[:1001]
        body: Any = data if is_announced else in_pieces(data)
        answer = await patch(client, url, 0, body, is_last=is_last, version=version)
        assert answer.status_code == 400, answer.text
        told = await client.head(url, headers=fields(version, None))
        assert told.status_code == (404 if version >= 7 else 204)


@ietf("4.1.4 Limits", "a file over max-size is refused by 413 with Upload-Limit")
async def test_a_file_that_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    headers = fields(NEWEST, True, Upload_Length=LARGEST + 1)  # contradicts the body, too
    answer = await client.post(PLACES[0], content=b"film", headers=headers)
    assert answer.status_code == 413
    assert answer.headers["upload-limit"] == f"max-size={LARGEST}"


@ietf("4.1.4 Limits", "OPTIONS has Upload-Limit, and min-size=0 if there is none")
@pytest.mark.parametrize("place", PLACES)
async def test_options_has_the_limits(serve: Serve, client: httpx2.AsyncClient, place: str) -> None:
    answer = await client.options(place)
    assert answer.headers["upload-limit"] == f"max-size={LARGEST}"
    async with serve() as unlimited:
        answer = await unlimited.options(place)
    assert answer.headers["upload-limit"] == "min-size=0"


@ietf("4.1.4 Limits", "the body that passes on the way is max-append-size")
async def test_a_narrow_path_is_told(client: httpx2.AsyncClient, upload: Uploading) -> None:
    client.headers["Host"] = "narrow.test"
    upload_id = await upload.begin(SIZE)
    params: dict[str, Any] = {"upload_id": upload_id, "offset": 0}
    params |= {"refused": 1 << 20, "refused_by": "nginx"}
    await client.post("/chunked-upload/chunk", params=params, content=DATA)
    url = await begin(client)
    assert f"max-append-size={SIZE}" in (await head(client, url)).headers["upload-limit"]


@ietf("4.3 Offset retrieval", "fields of an upload do not belong to it, up to interop version 6")
async def test_old_versions_have_no_fields_in_head(client: httpx2.AsyncClient) -> None:
    for version in VERSIONS:
        url = await begin(client, version=version)
        for method in ("HEAD", "DELETE"):
            answer = await client.request(
                method, url, headers=fields(version, None, Upload_Offset=0)
            )
            assert answer.status_code == (400 if version <= 6 else 204)


@ietf("4.5 Cancellation", "DELETE answers 204; after that, the upload is gone")
async def test_a_cancelled_upload_is_gone(client: httpx2.AsyncClient) -> None:
    url = await begin(client, DATA[:9])
    assert (await client.delete(url)).status_code == 204
    assert (await patch(client, url, 9, b"x")).status_code == 404
    assert (await client.head(url)).status_code == 404


async def test_a_complete_upload_is_not_cancelled(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client)
    await patch(client, url, 0, DATA, is_last=True)
    assert (await client.delete(url)).status_code == 400
    assert await stored(client, url) == DATA


@ietf("10 Integrity", "a Content-Digest of other bytes is refused, and nothing is appended")
async def test_the_digest_of_a_body_is_verified(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    sha256 = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    for wrong in (digest(DATA + b"x"), f"sha-256=:{sha256[4:8] + sha256[4:]}:"):
        assert (await patch(client, url, 0, DATA, Content_Digest=wrong)).status_code == 503
    assert await offset(client, url) == 0
    answer = await patch(client, url, 0, DATA, Content_Digest=f"sha-256=:{sha256}:")
    assert answer.status_code == 204


@ietf("10 Integrity", "a Repr-Digest of another file is refused when it is complete")
@ietf("10 Integrity", "the answer of a complete upload has Repr-Digest")
async def test_the_digest_of_the_file_is_verified(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client, DATA[:9], Repr_Digest=digest(DATA))
    answer = await patch(client, url, 9, DATA[9:], is_last=True)
    assert (answer.status_code, answer.headers["repr-digest"]) == (200, digest(DATA))
    assert len(begun) == 1
    url = await begin(client, DATA[:9], Repr_Digest=digest(b"another"))
    answer = await patch(client, url, 9, DATA[9:], is_last=True)
    assert (answer.status_code, answer.headers["upload-complete"]) == (422, "?1")
    assert (await client.head(url)).status_code == 404
    assert len(begun) == 1


@ietf("4.4 Append", "an error of the target resource has Upload-Complete: ?1")
async def test_a_refused_file_ends_the_upload(serve: Serve) -> None:
    def refuse(file: FinishedFile) -> None:
        raise ContentRefused("it has no sound")

    async with serve(before_complete=refuse, max_size=LARGEST) as client:
        url = await begin(client)
        answer = await patch(client, url, 0, DATA, is_last=True)
        assert (answer.status_code, answer.headers["upload-complete"]) == (422, "?1")


async def test_an_upload_of_somebody_else_is_unknown(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    assert (await client.head(url, headers=BOB)).status_code == 404
    assert (await patch(client, url, 0, b"x", Authorization="Bearer bob")).status_code == 404
    assert (await client.delete(url, headers=BOB)).status_code == 404
    assert (await client.head(url, headers={"Authorization": ""})).status_code == 401


@ietf("4.6 Concurrency", "the offset of HEAD is accepted by the next append")
async def test_head_does_not_wait_for_an_append(client: httpx2.AsyncClient) -> None:
    url = await begin(client, Upload_Length=SIZE)
    go_on = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield DATA[:1000]
        await go_on.wait()
        yield DATA[1000:]

    older = asyncio.create_task(patch(client, url, 0, stalled(), is_last=True))
    while not older.done() and not await is_poured(client, url):
        await asyncio.sleep(0.01)
    at = await offset(client, url)
    newer = asyncio.create_task(patch(client, url, at, DATA[at:], is_last=True))
    done, _ = await asyncio.wait([newer], timeout=30)
    assert done, "the newer one must not wait for the older one"
    go_on.set()
    assert newer.result().status_code == 200
    assert (await older).status_code in (400, 409, 503)
    assert await stored(client, url) == DATA


async def is_poured(client: httpx2.AsyncClient, url: str) -> bool:
    """Whether an append is under way: the request has begun."""
    return (await head(client, url)).status_code == 204


async def test_an_upload_moves_between_the_protocols(
    client: httpx2.AsyncClient, upload: Uploading, begun: list[FinishedFile]
) -> None:
    upload_id = await upload.begin(SIZE)
    await upload.chunk(upload_id, 0, DATA[: 64 * KiB])
    at = 64 * KiB
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    for path in (f"/files/{upload_id}", f"/chunked-upload/upload/{upload_id}"):
        assert await offset(client, path) == at
        assert (await patch(client, path, at, DATA[at : at + 1000])).status_code == 204
        at += 1000
    headers = tus | {"Upload-Offset": str(at)}
    path = f"/files/{upload_id}"
    answer = await client.patch(path, content=DATA[at : at + 1000], headers=headers)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(at + 1000))
    at += 1000
    assert await offset(client, path) == at
    await upload.chunk(upload_id, at, DATA[at : 200 * KiB])
    assert await offset(client, path) == 200 * KiB
    done = await patch(client, path, 200 * KiB, DATA[200 * KiB :], is_last=True)
    assert done.json()["assessment_id"] == "assessment-1"
    assert (await upload.complete(upload_id)).json()["assessment_id"] == "assessment-1"
    told = await client.head(path, headers={"Tus-Resumable": "1.0.0"})
    assert told.headers["wherry-assessment"] == "assessment-1"
    assert await upload.file(upload_id) == DATA
    assert len(begun) == 1


def test_only_a_wrong_offset_is_answered_by_409() -> None:
    conflicts = {error for error in every_error() if status_of(error) == 409}
    assert conflicts == {OffsetDiffers}
    assert status_of(Busy) == status_of(BodyCut) == 503
    for error in every_error():
        if error.retryable and error is not OffsetDiffers:
            assert status_of(error) >= 500 or status_of(error) == 429
