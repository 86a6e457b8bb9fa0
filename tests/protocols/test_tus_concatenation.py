"""tus 1.0, concatenation: partial uploads, and the final ones that are made of them."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.tus_client import (
    DATA,
    FILES,
    OCTETS,
    SIZE,
    begin,
    id_of,
    metadata,
    patch,
    post,
    stored,
    where,
)

from wherry.engine import FinishedFile

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("refuses_at_once")]

BOB = {"Authorization": "Bearer bob"}
CUTS = [(0, 100 * KiB), (100 * KiB, 100 * KiB + 7), (100 * KiB + 7, SIZE)]
tus = pytest.mark.tus


@pytest.fixture
def client(processing: httpx2.AsyncClient, begun: list[FinishedFile]) -> httpx2.AsyncClient:
    processing.headers["Tus-Resumable"] = "1.0.0"  # some tests send another
    return processing


async def partial(client: httpx2.AsyncClient, data: bytes, *, sent: int | None = None) -> str:
    url = await begin(client, len(data), Upload_Concat="partial")
    if data[:sent]:
        answer = await patch(client, url, 0, data[:sent])
        assert answer.status_code == 204, answer.text
    return url


async def partials(client: httpx2.AsyncClient) -> list[str]:
    return [await partial(client, DATA[start:end]) for start, end in CUTS]


async def final(client: httpx2.AsyncClient, urls: list[str], **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(FILES, headers={"Upload-Concat": f"final;{' '.join(urls)}", **named})


async def until_complete(client: httpx2.AsyncClient, url: str) -> httpx2.Response:
    while True:
        told = await client.head(url)
        assert told.status_code == 200
        if "upload-offset" in told.headers:
            return told
        await asyncio.sleep(0.01)


@tus("Concatenation", "a final upload has the bytes of its partial ones, in their order")
@tus("Concatenation", "its length is that of all of them, and Upload-Offset is the same after that")
@tus("Concatenation", "the metadata of partial uploads are not transferred")
async def test_partial_uploads_become_one_file_and_one_assessment(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    urls = await partials(client)
    assert begun == [], "a partial upload is no file"
    answer = await final(client, urls, Upload_Metadata=metadata(filename="film.mp4"))
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == str(SIZE)
    assert answer.headers["wherry-assessment"] == "assessment-1"
    told = await client.head(where(answer))
    assert told.headers["upload-offset"] == told.headers["upload-length"] == str(SIZE)
    assert await stored(client, where(answer)) == DATA
    (file,) = begun
    assert (file.filename, file.size) == ("film.mp4", SIZE)


@tus("Concatenation", "HEAD of partial and final uploads has Upload-Concat as it was received")
async def test_upload_concat_is_told_as_it_was_received(client: httpx2.AsyncClient) -> None:
    urls = await partials(client)
    written = f"final;{urls[0]}  /elsewhere/{id_of(urls[1])} {id_of(urls[2])}"
    answer = await client.post(FILES, headers={"Upload-Concat": written})
    assert answer.status_code == 201, answer.text
    assert (await client.head(where(answer))).headers["upload-concat"] == written
    assert await stored(client, where(answer)) == DATA
    for url in urls:
        assert (await client.head(url)).headers["upload-concat"] == "partial"
    assert "upload-metadata" not in (await client.head(where(answer))).headers


async def test_the_order_counts_and_one_may_be_there_twice(client: httpx2.AsyncClient) -> None:
    first, second = await partial(client, b"first "), await partial(client, b"second ")
    empty = await partial(client, b"")
    answer = await final(client, [second, first, empty, second])
    assert answer.status_code == 201, answer.text
    assert await stored(client, where(answer)) == b"second first second "


@tus("Concatenation", "a final upload has no Upload-Length")
@pytest.mark.parametrize(
    "more",
    [{"Upload-Length": str(SIZE)}, {"Upload-Length": "0"}, {"Upload-Defer-Length": "1"}],
)
async def test_a_final_upload_with_a_length_is_refused(
    client: httpx2.AsyncClient, more: dict[str, str]
) -> None:
    urls = await partials(client)
    answer = await final(client, urls, **more)
    assert answer.status_code == 400
    assert (await final(client, urls)).status_code == 201, "nothing is lost"


@tus("Concatenation", "PATCH of a final upload is refused by 403")
@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_final_upload_takes_no_bytes(client: httpx2.AsyncClient, is_whole: bool) -> None:
    url = await partial(client, DATA, sent=None if is_whole else 5)
    made = await final(client, [url])
    answer = await patch(client, where(made), 0, b"x")
    assert (answer.status_code, answer.json()["code"]) == (403, "made-of-pieces")
    headers = {"Upload-Concat": f"final;{url}", **OCTETS}
    assert (await client.post(FILES, content=b"x", headers=headers)).status_code == 403


async def test_the_chunked_api_brings_no_bytes_of_a_final_upload(
    client: httpx2.AsyncClient, upload: Uploading
) -> None:
    made = await final(client, [await partial(client, DATA, sent=5)])
    answer = await upload.chunk(id_of(where(made)), 0, DATA[: 64 * KiB])
    assert (answer.status_code, answer.json()["code"]) == (409, "made-of-pieces")


async def test_a_partial_upload_is_no_file_in_any_protocol(
    client: httpx2.AsyncClient, upload: Uploading, begun: list[FinishedFile]
) -> None:
    url = await partial(client, DATA)
    assert (await client.head(url)).headers["upload-offset"] == str(SIZE)
    assert (await upload.complete(id_of(url))).status_code == 400
    assert (await client.get(f"/chunked-upload/files/{id_of(url)}")).status_code == 404
    assert (await client.get(url)).status_code == 400
    assert begun == []


async def test_a_partial_upload_expires_like_any_other(client: httpx2.AsyncClient) -> None:
    url = await partial(client, DATA)
    assert "upload-expires" in (await client.head(url)).headers


@tus("Concatenation Unfinished", "a final upload may be made before its partial ones are whole")
@tus("Concatenation Unfinished", "it has no Upload-Offset before that")
async def test_a_final_upload_may_come_before_the_bytes(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    first, second = await partial(client, DATA[:1000]), await partial(client, DATA[1000:], sent=0)
    assert "concatenation-unfinished" in (await client.options(FILES)).headers["tus-extension"]
    answer = await final(client, [first, second])
    assert answer.status_code == 201, answer.text
    for told in (answer, await client.head(where(answer))):
        assert "upload-offset" not in told.headers
    assert told.headers["upload-length"] == str(SIZE)
    assert "upload-expires" in told.headers
    await patch(client, second, 0, DATA[1000:5000])
    assert "upload-offset" not in (await client.head(where(answer))).headers
    await patch(client, second, 4000, DATA[5000:])
    told = await until_complete(client, where(answer))
    assert told.headers["upload-offset"] == str(SIZE)
    assert await stored(client, where(answer)) == DATA
    assert len(begun) == 1


async def test_the_last_byte_of_the_last_partial_upload_completes_the_final_one(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    """Also where the client never asks for the final one."""
    url = await partial(client, DATA, sent=1000)
    await final(client, [url])
    await patch(client, url, 1000, DATA[1000:])
    while not begun:
        await asyncio.sleep(0.01)
    assert begun[0].size == SIZE


async def test_a_request_for_a_final_upload_may_be_repeated(
    client: httpx2.AsyncClient, begun: list[FinishedFile]
) -> None:
    """A client that has had no answer asks for the partial ones first, and finds them whole."""
    urls = await partials(client)
    first = await final(client, urls)
    for url, (start, end) in zip(urls, CUTS, strict=True):
        told = await client.head(url)
        assert (told.status_code, told.headers["upload-offset"]) == (200, str(end - start))
    again = await final(client, urls)
    assert (again.status_code, where(again)) == (201, where(first))
    assert len(begun) == 1
    together = await asyncio.gather(*(final(client, urls) for _ in range(4)))
    assert {answer.status_code for answer in together} == {201}
    assert len(begun) == 1


async def test_partial_uploads_are_deleted_and_their_space_is_free(
    client: httpx2.AsyncClient,
) -> None:
    admin = {"Authorization": "Bearer admin"}
    urls = await partials(client)
    before = (await client.get("/chunked-upload/storage", headers=admin)).json()
    made = await final(client, urls)
    after = (await client.get("/chunked-upload/storage", headers=admin)).json()
    assert before["reserved"] - after["reserved"] == SIZE
    for url in urls:
        assert (await patch(client, url, 0, b"x")).status_code == 410
    await client.delete(where(made))
    for url in (*urls, where(made)):
        assert (await client.head(url)).status_code == 410


async def test_whose_partial_upload_it_is_is_not_told(client: httpx2.AsyncClient) -> None:
    mine, theirs = await partial(client, DATA), await partial(client, DATA)
    unknown = f"{FILES}{'0' * 32}"
    for wrong in (unknown, "no-upload", f"{theirs}x"):
        assert (await final(client, [mine, wrong])).status_code == 404
    answers = [
        await final(client, [theirs], **BOB),
        await final(client, [unknown], **BOB),
    ]
    first, second = (answer.json() for answer in answers)
    assert first["code"] == second["code"] == "upload-not-found"
    assert first["detail"] == second["detail"]
    assert (await final(client, [mine, theirs])).status_code == 201


async def test_only_partial_uploads_are_joined(client: httpx2.AsyncClient) -> None:
    whole, piece = await begin(client, 5), await partial(client, b"piece")
    made = where(await final(client, [piece]))
    for wrong in (whole, made):
        assert (await final(client, [wrong])).status_code == 400
    unknown_length = where(
        await client.post(FILES, headers={"Upload-Defer-Length": "1", "Upload-Concat": "partial"})
    )
    assert (await final(client, [unknown_length])).status_code == 400
    await patch(client, unknown_length, 0, b"film", Upload_Length="4")
    made = where(await final(client, [unknown_length]))
    assert await stored(client, made) == b"film"


async def test_a_partial_upload_belongs_to_one_final_upload(client: httpx2.AsyncClient) -> None:
    shared, other = await partial(client, DATA, sent=5), await partial(client, b"other")
    made = where(await final(client, [shared]))
    assert (await final(client, [other, shared])).status_code == 400
    await client.delete(made)
    answer = await final(client, [other, shared])
    assert answer.status_code == 201, "the first one is gone"
    await patch(client, shared, 5, DATA[5:])
    await until_complete(client, where(answer))
    assert await stored(client, where(answer)) == b"other" + DATA


@pytest.mark.parametrize("is_declared", [False, True])
async def test_a_final_upload_of_one_that_is_gone_is_refused(
    client: httpx2.AsyncClient, is_declared: bool
) -> None:
    first, gone = await partial(client, b"first"), await partial(client, DATA, sent=5)
    if is_declared:
        answer = await final(client, [first, gone])
        await client.delete(gone)
        answer = await client.head(where(answer))
    else:
        await client.delete(gone)
        answer = await final(client, [first, gone])
        assert answer.json()["code"] == "upload-gone"
    assert answer.status_code == 410
    again = await final(client, [first])
    assert await stored(client, where(again)) == b"first", "the others can be used"


@pytest.mark.parametrize("concat", ["", "Partial", "partial;", "final", "whole;x"])
async def test_another_upload_concat_is_refused(client: httpx2.AsyncClient, concat: str) -> None:
    assert (await post(client, 5, headers={"Upload-Concat": concat})).status_code == 400


async def test_a_final_upload_of_nothing_is_refused(client: httpx2.AsyncClient) -> None:
    assert (await final(client, [])).status_code == 400


async def test_a_final_upload_that_is_too_large_is_refused(serve: Serve) -> None:
    async with serve(max_size=1000) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        urls = [await partial(client, bytes(600)), await partial(client, bytes(600))]
        assert (await final(client, urls)).status_code == 413
        assert (await final(client, urls[:1])).status_code == 201


async def test_the_type_of_the_whole_is_checked_and_not_that_of_a_piece(serve: Serve) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + DATA[: 20 * KiB]
    async with serve(allowed_types=["image/png"]) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        halves = [await partial(client, picture[:9000]), await partial(client, picture[9000:])]
        assert (await final(client, halves)).status_code == 201
        halves = [await partial(client, picture[9000:]), await partial(client, picture[:9000])]
        assert (await final(client, halves)).status_code == 415


async def test_more_pieces_than_may_be_open_at_once_are_joined(serve: Serve) -> None:
    """A piece that is whole gives its slot up, and a final upload takes none."""
    async with serve(max_open=1, max_reserved=SIZE + 1000) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        urls = await partials(client)
        answer = await final(client, urls)
        assert answer.headers["upload-offset"] == str(SIZE)
        assert await stored(client, where(answer)) == DATA
