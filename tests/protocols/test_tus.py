"""tus 1.0 by its requests; each requirement of the protocol that a test shows is named in `tus`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import httpx2
import pytest
from tests.protocols.conftest import LARGEST, KiB, Serve, Uploading
from tests.protocols.tus_client import (
    DATA,
    FILES,
    OCTETS,
    begin,
    id_of,
    metadata,
    offset,
    patch,
    post,
    stored,
    where,
)

from wherry.core.digests import crc64
from wherry.core.errors import DigestMismatch, OffsetDiffers, UploadClosed, every_error
from wherry.engine import FinishedFile
from wherry.protocols import waiting
from wherry.protocols.tus.routes import status_of
from wherry.router import ContentRefused

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("refuses_at_once")]

BOB = {"Authorization": "Bearer bob"}
tus = pytest.mark.tus


@pytest.fixture
def client(processing: httpx2.AsyncClient, begun: list[FinishedFile]) -> httpx2.AsyncClient:
    processing.headers["Tus-Resumable"] = "1.0.0"  # some tests send another
    return processing


@tus("Core", "PATCH answers 204 with the new Upload-Offset")
@tus("Core", "HEAD answers with Upload-Offset, also 0, and Upload-Length; and Cache-Control")
@tus("Creation", "POST answers 201 with Location")
async def test_a_file_in_pieces_of_any_size_is_one_file_and_one_assessment(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client, Upload_Metadata=metadata(filename="film.mp4", filetype="video/mp4"))
    assert await offset(client, url) == 0
    at = 0
    for size in (1, 70 * KiB, 3, 200 * KiB, 1000, len(DATA)):
        piece = DATA[at : at + size]
        answer = await patch(client, url, at, piece)
        assert answer.status_code == 204, answer.text
        at += len(piece)
        assert answer.headers["upload-offset"] == str(at)
        told = await client.head(url)
        assert told.headers["upload-offset"] == str(at)
        assert told.headers["upload-length"] == str(len(DATA))
        assert told.headers["cache-control"] == "no-store"
    assert answer.headers["wherry-assessment"] == "assessment-1"
    (file,) = begun
    assert (file.filename, file.size, file.owner) == ("film.mp4", len(DATA), "alice")
    assert await stored(client, url) == DATA


@tus("Creation", "an empty file is complete at once")
async def test_an_empty_file_is_complete_at_once(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    url = await begin(client, 0)
    assert await offset(client, url) == 0
    assert len(begun) == 1
    assert await stored(client, url) == b""


@tus("Creation With Upload", "POST brings the first bytes, and answers with Upload-Offset")
@pytest.mark.parametrize("size", [100, len(DATA)])
async def test_the_first_request_may_bring_bytes(
    client: httpx2.AsyncClient, begun: list[FinishedFile], size: int
) -> None:
    answer = await post(client, content=DATA[:size], headers=OCTETS)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(size))
    await patch(client, where(answer), size, DATA[size:])
    assert await stored(client, where(answer)) == DATA
    assert len(begun) == 1


@tus("Creation With Upload", "the body has the type application/offset+octet-stream")
@tus("Core", "PATCH with another type is refused by 415")
async def test_a_body_of_another_type_is_refused(client: httpx2.AsyncClient) -> None:
    wrong = {"Content-Type": "application/octet-stream"}
    assert (await post(client, content=b"film", headers=wrong)).status_code == 415
    url = await begin(client)
    answer = await patch(client, url, 0, b"film", Content_Type="application/octet-stream")
    assert answer.status_code == 415
    assert await offset(client, url) == 0


@tus("Core", "another version, or none, is refused by 412 with Tus-Version, and changes nothing")
@pytest.mark.parametrize("version", ["0.2.2", "", None])
async def test_another_version_is_refused(client: httpx2.AsyncClient, version: str | None) -> None:
    url = await begin(client)
    if version is None:
        del client.headers["Tus-Resumable"]
    else:
        client.headers["Tus-Resumable"] = version
    answers = [
        await post(client),
        await client.head(url),
        await patch(client, url, 0, DATA),
        await client.delete(url),
    ]
    for answer in answers:
        assert answer.status_code == 412
        assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    client.headers["Tus-Resumable"] = "1.0.0"
    assert await offset(client, url) == 0


@tus("Core", "OPTIONS answers with Tus-Version, Tus-Extension, Tus-Max-Size; without Tus-Resumable")
@tus("Checksum", "OPTIONS has Tus-Checksum-Algorithm, and sha1 is one of them")
async def test_options_says_what_the_server_can_do(client: httpx2.AsyncClient) -> None:
    del client.headers["Tus-Resumable"]
    answer = await client.options(FILES)
    assert answer.status_code == 200
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(LARGEST)
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")
    assert {"creation", "termination"} <= set(answer.headers["tus-extension"].split(","))


@tus("Core", "PATCH at another offset is refused by 409, and changes nothing")
async def test_bytes_at_another_offset_are_refused(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    await patch(client, url, 0, DATA[:1000])
    for at in (0, 999, 1001, len(DATA)):
        answer = await patch(client, url, at, b"x")
        assert (answer.status_code, answer.headers["upload-offset"]) == (409, "1000")
    assert await offset(client, url) == 1000


@tus("Core", "numbers are not negative, and whole")
@pytest.mark.parametrize("number", ["-1", "1.5", "x", "", "9" * 20, "+1", "0x10"])
async def test_what_is_no_number_of_bytes_is_refused(
    client: httpx2.AsyncClient, number: str
) -> None:
    assert (await post(client, number)).status_code == 400
    url = await begin(client)
    assert (await patch(client, url, 0, b"x", Upload_Offset=number)).status_code == 400


@tus("Creation", "a length over Tus-Max-Size is refused by 413")
async def test_a_file_that_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    assert (await post(client, LARGEST + 1)).status_code == 413


async def test_more_bytes_than_the_file_has_are_refused(client: httpx2.AsyncClient) -> None:
    url = await begin(client, 1000)
    assert (await patch(client, url, 0, DATA[:1001])).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        yield DATA[:1001]

    answer = await client.patch(url, content=pieces(), headers={**OCTETS, "Upload-Offset": "0"})
    assert answer.status_code == 413
    assert await offset(client, url) == 0


@tus("Core", "an unknown upload is answered 404, one that has ended 410, without Upload-Offset")
@tus("Termination", "DELETE answers 204; after that, the upload is gone")
@pytest.mark.parametrize("is_finished", [False, True], ids=["unfinished", "finished"])
async def test_a_deleted_upload_is_gone(client: httpx2.AsyncClient, is_finished: bool) -> None:
    url = await begin(client)
    await patch(client, url, 0, DATA if is_finished else DATA[:5])
    assert (await client.delete(url)).status_code == 204
    for answer in (await client.head(url), await patch(client, url, 5, b"x")):
        assert answer.status_code == 410
        assert "upload-offset" not in answer.headers
    assert (await client.delete(url)).status_code == 410
    assert (await client.head(f"{FILES}{'0' * 32}")).status_code == 404
    assert (await client.get(f"/chunked-upload/files/{id_of(url)}")).status_code == 404


async def test_an_upload_of_somebody_else_is_unknown(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    assert (await client.head(url, headers=BOB)).status_code == 404
    assert (await patch(client, url, 0, b"x", **BOB)).status_code == 404
    assert (await client.delete(url, headers=BOB)).status_code == 404
    assert (await client.head(url, headers={"Authorization": ""})).status_code == 401


@tus(
    "Creation Defer Length", "Upload-Defer-Length: 1 until the length is known, which is then fixed"
)
async def test_the_length_may_come_later(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    answer = await client.post(FILES, headers={"Upload-Defer-Length": "1"})
    url = where(answer)
    await patch(client, url, 0, DATA[:1000])
    told = await client.head(url)
    assert (told.headers["upload-defer-length"], told.headers["upload-offset"]) == ("1", "1000")
    assert "upload-length" not in told.headers
    answer = await patch(client, url, 1000, DATA[1000:2000], Upload_Length=str(len(DATA)))
    assert answer.status_code == 204, answer.text
    told = await client.head(url)
    assert told.headers["upload-length"] == str(len(DATA))
    assert "upload-defer-length" not in told.headers
    answer = await patch(client, url, 2000, b"x", Upload_Length="2001")
    assert answer.status_code == 400
    await patch(client, url, 2000, DATA[2000:])
    assert await stored(client, url) == DATA
    assert len(begun) == 1


async def test_the_length_may_come_last_of_all(client: httpx2.AsyncClient) -> None:
    url = where(await client.post(FILES, headers={"Upload-Defer-Length": "1"}))
    await patch(client, url, 0, DATA)
    answer = await patch(client, url, len(DATA), b"", Upload_Length=str(len(DATA)))
    assert answer.headers["wherry-assessment"] == "assessment-1"


@tus("Creation", "a length or Upload-Defer-Length: 1 is needed, and only one of them")
@pytest.mark.parametrize(
    "headers",
    [{}, {"Upload-Defer-Length": "2"}, {"Upload-Defer-Length": "1", "Upload-Length": "5"}],
)
async def test_an_upload_without_a_length_is_refused(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.post(FILES, headers=headers)).status_code == 400


@tus("Creation", "HEAD has Upload-Metadata as the client gave it")
@pytest.mark.parametrize(
    "given",
    [
        metadata(filename="a film, with a comma.mp4", is_confidential="", task="42"),
        "is_confidential ,filename " + base64.b64encode("né.mp4".encode()).decode(),
        metadata(filename="film.mp4", hash=bytes(range(256))),
        metadata(filename="film.mp4", note="n" * 1000, other=b"\xff" * 700),
    ],
    ids=["usual", "space", "binary", "long"],
)
async def test_metadata_come_back_as_they_were_given(
    client: httpx2.AsyncClient, given: str
) -> None:
    url = await begin(client, Upload_Metadata=given)
    assert (await client.head(url)).headers["upload-metadata"] == given


async def test_the_application_gets_the_metadata(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    given = metadata(name="folder/film.mp4", type="video/mp4", task="42")
    await post(client, 4, content=b"film", headers={"Upload-Metadata": given, **OCTETS})
    (file,) = begun
    assert (file.filename, file.content_type) == ("film.mp4", "video/mp4")
    assert file.metadata == {"name": "folder/film.mp4", "type": "video/mp4", "task": "42"}


@pytest.mark.parametrize("given", ["key not-base64!", "a YQ==,a Yg=="])
async def test_malformed_metadata_are_refused(client: httpx2.AsyncClient, given: str) -> None:
    assert (await post(client, headers={"Upload-Metadata": given})).status_code == 400


@tus("Expiration", "Upload-Expires is in the answers to POST and PATCH of an unfinished upload")
async def test_an_unfinished_upload_says_when_it_expires(client: httpx2.AsyncClient) -> None:
    created = await post(client)
    url = where(created)
    sent = await patch(client, url, 0, DATA[:9])
    for answer in (created, sent, await client.head(url)):
        parsedate_to_datetime(answer.headers["upload-expires"])
    done = await patch(client, url, 9, DATA[9:])
    assert "upload-expires" not in done.headers


CHECKSUMS = {
    "sha1": hashlib.sha1(DATA).digest(),
    "sha256": hashlib.sha256(DATA).digest(),
    "md5": hashlib.md5(DATA).digest(),
    "crc32": zlib.crc32(DATA).to_bytes(4, "big"),
    "crc64nvme": crc64(DATA).to_bytes(8, "big"),
}


@tus("Checksum", "a body with another checksum is refused by 460, and changes nothing")
@pytest.mark.parametrize("algorithm", CHECKSUMS)
async def test_a_checksum_is_verified(client: httpx2.AsyncClient, algorithm: str) -> None:
    right = CHECKSUMS[algorithm]
    url = await begin(client)
    for wrong in (bytes(len(right)), right[:-1]):
        text = f"{algorithm} {base64.b64encode(wrong).decode()}"
        answer = await patch(client, url, 0, DATA, Upload_Checksum=text)
        assert (answer.status_code, await offset(client, url)) == (460, 0)
    text = f"{algorithm} {base64.b64encode(right).decode()}"
    answer = await patch(client, url, 0, DATA, Upload_Checksum=text)
    assert answer.headers["upload-offset"] == str(len(DATA))


@tus("Checksum", "an unknown algorithm is refused by 400")
@pytest.mark.parametrize("text", ["whirlpool YQ==", "sha1 not-base64!", "sha1"])
async def test_an_unusable_checksum_is_refused(client: httpx2.AsyncClient, text: str) -> None:
    url = await begin(client)
    expected = 460 if text == "sha1" else 400  # a checksum of another length is another one
    assert (await patch(client, url, 0, DATA, Upload_Checksum=text)).status_code == expected
    assert await offset(client, url) == 0


@tus("Core", "X-HTTP-Method-Override counts as the method")
async def test_the_method_may_be_in_a_header(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    override = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", **OCTETS}
    answer = await client.post(url, content=DATA[:9], headers=override)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "9")
    answer = await client.post(url, headers={"X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 204
    assert (await client.post(url)).status_code == 405


@pytest.mark.parametrize("path", ["/files", "/files/"])
async def test_the_location_is_relative_to_the_request(
    client: httpx2.AsyncClient, path: str
) -> None:
    answer = await client.post(path, headers={"Upload-Length": "5"})
    assert where(answer).startswith("http://test/api/files/")
    assert "//" not in answer.headers["location"]
    assert await offset(client, where(answer)) == 0


async def test_an_upload_moves_between_the_protocols(
    client: httpx2.AsyncClient, upload: Uploading, begun: list[FinishedFile]
) -> None:
    upload_id = await upload.begin(len(DATA))
    await upload.chunk(upload_id, 0, DATA[: 64 * KiB])
    url = f"{FILES}{upload_id}"
    assert await offset(client, url) == 64 * KiB
    await upload.chunk(upload_id, 128 * KiB, DATA[128 * KiB : 192 * KiB])
    assert await offset(client, url) == 64 * KiB, "there is a gap"
    answer = await patch(client, url, 64 * KiB, DATA[64 * KiB : 130 * KiB])
    assert answer.headers["upload-offset"] == str(192 * KiB), "what is there is not sent again"
    await upload.chunk(upload_id, 192 * KiB, DATA[192 * KiB :])
    assert begun == []
    assert await offset(client, url) == len(DATA)
    assert len(begun) == 1, "whoever finds it whole completes it"
    answer = await upload.complete(upload_id)
    assert answer.json()["assessment_id"] == "assessment-1"
    assert await upload.file(upload_id) == DATA


async def test_of_two_at_the_same_offset_one_wins(client: httpx2.AsyncClient) -> None:
    """The other one gets 409, or is told that its bytes were there already."""
    url = await begin(client)
    answers = await asyncio.gather(*(patch(client, url, 0, DATA[:200_000]) for _ in range(4)))
    assert 204 in [answer.status_code for answer in answers]
    assert {answer.status_code for answer in answers} <= {204, 409}
    assert await offset(client, url) == 200_000
    await patch(client, url, 200_000, DATA[200_000:])
    assert await stored(client, url) == DATA


async def test_an_upload_in_the_queue_is_told_to_wait(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(max_open=1) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        first, second = await begin(client), await begin(client)
        with monkeypatch.context() as impatient:
            impatient.setattr(waiting, "PATIENCE", 0.0)
            answer = await patch(client, second, 0, DATA)
        assert (answer.status_code, answer.json()["code"]) == (503, "waiting")
        assert "retry-after" in answer.headers
        assert await offset(client, second) == 0
        await client.delete(first)
        assert (await patch(client, second, 0, DATA)).status_code == 204


async def test_a_file_that_the_application_refuses_is_deleted(serve: Serve) -> None:
    def refuse(_: FinishedFile) -> None:
        raise ContentRefused("no cats")

    async with serve(before_complete=refuse) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        url = await begin(client)
        assert (await patch(client, url, 0, DATA)).status_code == 422
        assert (await client.head(url)).status_code == 410


async def test_without_a_largest_size_the_length_cannot_come_later(serve: Serve) -> None:
    async with serve(max_size=None) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        told = await client.options(FILES)
        assert "creation-defer-length" not in told.headers["tus-extension"]
        answer = await client.post(FILES, headers={"Upload-Defer-Length": "1"})
        assert answer.status_code == 411


def test_clients_repeat_what_may_succeed_later_and_nothing_else() -> None:
    """After 409, they ask for the offset first."""
    for error in every_error():
        is_repeated = (status := status_of(error)) >= 500 or status in (409, 423)
        asks_first = error in (OffsetDiffers, UploadClosed)
        # A body with another digest may be right the next time. The protocol wants 460.
        expected = (error.retryable or asks_first) and error is not DigestMismatch
        assert is_repeated == expected or status == 500, (error.code, status)


async def test_get_is_the_finished_file(client: httpx2.AsyncClient) -> None:
    url = await begin(client, Upload_Metadata=metadata(filename="film.mp4"))
    await patch(client, url, 0, DATA)
    del client.headers["Tus-Resumable"]
    whole = await client.get(url)
    assert (whole.status_code, whole.content) == (200, DATA)
    assert "film.mp4" in whole.headers["content-disposition"]
    assert whole.headers["x-content-type-options"] == "nosniff"
    part = await client.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, DATA[100:200])
    assert (await client.get(url, headers=BOB)).status_code == 404
    assert (await client.get(f"{FILES}{'0' * 32}")).status_code == 404


async def test_get_of_an_unfinished_upload_says_so(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    await patch(client, url, 0, DATA[:9])
    answer = await client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (400, "bytes-missing")
    assert answer.json()["missing"] == [[9, len(DATA)]]


# What existing servers have done wrong.


async def test_head_and_options_answer_200(client: httpx2.AsyncClient) -> None:
    assert (await client.head(await begin(client))).status_code == 200
    assert (await client.options(FILES)).status_code == 200


async def test_another_version_is_told_by_head_too(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    answer = await client.head(url, headers={"Tus-Resumable": "0.2.2"})
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


async def test_a_patch_without_an_offset_is_refused(client: httpx2.AsyncClient) -> None:
    url = await begin(client)
    answer = await client.patch(url, content=DATA, headers=OCTETS)
    assert answer.status_code == 400
    assert await offset(client, url) == 0


@pytest.mark.parametrize("length", [2**50, 2**53 + 1, 2**61])
async def test_a_very_large_length_is_understood(client: httpx2.AsyncClient, length: int) -> None:
    answer = await post(client, length)
    assert (answer.status_code, answer.json()["provided"]) == (413, length)


async def test_long_metadata_are_kept(client: httpx2.AsyncClient) -> None:
    given = metadata(**{f"note{number}": "n" * 1000 for number in range(10)})
    assert len(given) > 13_000
    url = await begin(client, Upload_Metadata=given)
    assert (await client.head(url)).headers["upload-metadata"] == given


async def test_without_the_server_that_shows_it_no_trailer_is_promised(
    client: httpx2.AsyncClient,
) -> None:
    told = await client.options(FILES)
    assert "checksum-trailer" not in told.headers["tus-extension"].split(",")
    url = await begin(client)
    answer = await patch(client, url, 0, DATA, Trailer="Upload-Checksum")
    assert answer.status_code == 400
    assert await offset(client, url) == 0
