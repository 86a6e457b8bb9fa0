"""A file's name is read alike, however it comes: JSON, a form, or a header."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.protocols.conftest import Serve
from tests.protocols.problems import problem

pytestmark = pytest.mark.anyio


async def kept(client: httpx2.AsyncClient, answer: httpx2.Response) -> str:
    assert answer.is_success, answer.text
    status = await client.get(f"/chunked-upload/{answer.json()['upload_id']}")
    return str(status.json()["filename"])


async def by_form(client: httpx2.AsyncClient, disposition: bytes) -> httpx2.Response:
    body = b"--b\r\nContent-Disposition: form-data; name=file; %s\r\n\r\n0123\r\n--b--\r\n"
    return await client.post(
        "/chunked-upload/upload",
        content=body % disposition,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )


async def by_header(client: httpx2.AsyncClient, disposition: bytes) -> httpx2.Response:
    headers = [(b"Content-Disposition", b"attachment; " + disposition)]
    return await client.post("/chunked-upload/upload", content=b"0123", headers=headers)


async def by_json(client: httpx2.AsyncClient, name: str) -> httpx2.Response:
    body = json.dumps({"filename": name, "size": 4})
    headers = {"Content-Type": "application/json"}
    return await client.post("/chunked-upload/init", content=body, headers=headers)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'filename="film.mp4"', "film.mp4"),
        (b"filename=film.mp4", "film.mp4"),
        (b'FileName="film.mp4"', "film.mp4"),
        ('filename="tälk 会議.mp4"'.encode(), "tälk 会議.mp4"),
        (b'filename="caf\xe9.mp4"', "caf\ufffd.mp4"),
        (b"filename*=utf-8''t%C3%A4lk.mp4", "tälk.mp4"),
        (b"filename*=UTF-8'de't%C3%A4lk.mp4", "tälk.mp4"),
        (b"filename*=iso-8859-1''t%E4lk.mp4", "tälk.mp4"),
        (b"filename*=utf-8''caf%E9.mp4", "caf\ufffd.mp4"),
        (b"filename=\"=?utf-8?B?dMOkbGsubXA0?=\"; filename*=utf-8''t%C3%A4lk.mp4", "tälk.mp4"),
        (b"filename*=utf-8''t%C3%A4lk.mp4; filename=talk.mp4", "tälk.mp4"),
        (b"filename=talk.mp4; filename*=punycode''talk", "talk.mp4"),
        (b'filename="a \\"b\\" c.mp4"', 'a "b" c.mp4'),
        (b'filename="a; b=c.mp4"', "a; b=c.mp4"),
        (b'filename="100%.mp4"', "100%.mp4"),
        (b'filename="a%20b.mp4"', "a%20b.mp4"),
    ],
)
async def test_a_form_and_a_header_are_read_alike(
    client: httpx2.AsyncClient, disposition: bytes, name: str
) -> None:
    assert await kept(client, await by_form(client, disposition)) == name
    assert await kept(client, await by_header(client, disposition)) == name
    assert await kept(client, await by_json(client, name)) == name


async def test_a_form_escapes_a_quote_as_browsers_do_and_a_header_does_not(
    client: httpx2.AsyncClient,
) -> None:
    escaped = b'filename="my %22best%22 take.mp4"'
    assert await kept(client, await by_form(client, escaped)) == 'my "best" take.mp4'
    assert await kept(client, await by_header(client, escaped)) == "my %22best%22 take.mp4"
    files = {"file": ('my "best" täke.mp4', b"0123")}
    answer = await client.post("/chunked-upload/upload", files=files)
    assert await kept(client, answer) == 'my "best" täke.mp4'


@pytest.mark.parametrize("escaped", [b"%0D%0A", b"%0a", b"%0d"])
async def test_the_end_of_a_line_in_a_name_is_refused_in_a_form_too(
    client: httpx2.AsyncClient, escaped: bytes
) -> None:
    problem(await by_form(client, b'filename="a%sb.mp4"' % escaped), 400, "bad-request")
    problem(await by_json(client, "a\nb.mp4"), 400, "bad-request")


async def test_a_byte_of_another_encoding_is_read_alike_everywhere(
    client: httpx2.AsyncClient,
) -> None:
    """Python gives such a byte of a path as half a surrogate pair."""
    assert await kept(client, await by_json(client, "caf\udce9.mp4")) == "caf\ufffd.mp4"


@pytest.mark.parametrize("name", ["会" * 90 + ".mp4", "会" * 251 + ".mp4", "🎬" * 125 + ".mp4"])
async def test_a_name_may_have_255_characters(client: httpx2.AsyncClient, name: str) -> None:
    quoted = f'filename="{name}"'.encode()
    assert await kept(client, await by_json(client, name)) == name
    assert await kept(client, await by_form(client, quoted)) == name
    answer = await by_header(client, quoted)
    assert await kept(client, answer) == name
    file = await client.get(f"/chunked-upload/files/{answer.json()['upload_id']}")
    assert file.content == b"0123"


@pytest.mark.parametrize("name", ["会" * 256, "🎬" * 128, "a" * 256])
async def test_a_longer_name_is_refused_everywhere(client: httpx2.AsyncClient, name: str) -> None:
    quoted = f'filename="{name}"'.encode()
    for answer in (
        await by_json(client, name),
        await by_form(client, quoted),
        await by_header(client, quoted),
    ):
        assert "255 characters" in problem(answer, 400, "bad-request")["detail"]


async def test_texts_that_are_no_unicode_are_kept_too(client: httpx2.AsyncClient) -> None:
    half = "\ud800"
    wanted = {"filename": "a", "size": 4, "content_type": half, "fingerprint": half}
    answer = await client.post(
        "/chunked-upload/init",
        content=json.dumps(wanted | {"metadata": {half: half}}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201
    assert answer.json()["content_type"] == "\ufffd"


async def test_a_form_describes_its_file_within_the_bounds_of_init(
    serve: Serve, client: httpx2.AsyncClient
) -> None:
    file = {"file": ("a.mp4", b"0123")}
    for many in ({f"n{n}": "x" for n in range(65)}, {"n": "x" * 1025}, {"x" * 1025: "n"}):
        wanted = {"filename": "a", "size": 4, "metadata": many}
        problem(await client.post("/chunked-upload/init", json=wanted), 400, "bad-request")
        answer = await client.post("/chunked-upload/upload", data=many, files=file)
        problem(answer, 400, "bad-request")
    few = {f"n{n}": "x" * 500 for n in range(64)}
    answer = await client.post("/chunked-upload/upload", data=few, files=file)
    assert answer.status_code == 200


async def test_a_content_type_has_an_end_in_a_form_and_in_a_header_too(
    client: httpx2.AsyncClient,
) -> None:
    kind = "video/" + "x" * 1020
    file = {"file": ("a.mp4", b"0123", kind)}
    problem(await client.post("/chunked-upload/upload", files=file), 400, "bad-request")
    headers = {"Content-Disposition": "attachment; filename=a", "Content-Type": kind}
    answer = await client.post("/chunked-upload/upload", content=b"0123", headers=headers)
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize("behind", [60_000, 200_000])
async def test_what_comes_behind_the_file_of_a_form_has_an_end(
    client: httpx2.AsyncClient, behind: int
) -> None:
    """RFC 2046 lets anything follow the closing boundary, to be ignored."""
    head = b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n0123\r\n--b--\r\n"

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(behind // 1000):
            yield b"x" * 1000

    answer = await client.post(
        "/chunked-upload/upload",
        content=body(),
        headers={
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": str(len(head) + behind),
        },
    )
    if behind < 64 * 1024:
        assert answer.json()["size"] == 4
    else:
        problem(answer, 400, "bad-request")
