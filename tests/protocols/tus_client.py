"""A client of tus, as far as the tests need one."""

from __future__ import annotations

import base64
import random
from typing import Any

import httpx2
from tests.protocols.conftest import KiB

FILES = "/files/"
DATA = random.Random(7).randbytes(300 * KiB + 77)
SIZE = len(DATA)
OCTETS = {"Content-Type": "application/offset+octet-stream"}


def metadata(**values: str | bytes) -> str:
    def pair(key: str, value: str | bytes) -> str:
        raw = value.encode() if isinstance(value, str) else value
        return f"{key} {base64.b64encode(raw).decode()}".rstrip()

    return ",".join(pair(*each) for each in values.items())


async def post(client: httpx2.AsyncClient, length: Any = SIZE, **more: Any) -> httpx2.Response:
    headers = {"Upload-Length": str(length)} | more.pop("headers", {})
    return await client.post(FILES, headers=headers, **more)


async def begin(client: httpx2.AsyncClient, length: int = SIZE, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await post(client, length, headers=named)
    assert answer.status_code == 201, answer.text
    return where(answer)


def where(answer: httpx2.Response) -> str:
    return str(answer.url.join(answer.headers["location"]))


async def patch(
    client: httpx2.AsyncClient, url: str, at: int, data: bytes, **headers: str
) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.patch(
        url, content=data, headers={**OCTETS, "Upload-Offset": str(at), **named}
    )


async def offset(client: httpx2.AsyncClient, url: str) -> int:
    answer = await client.head(url)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def id_of(url: str) -> str:
    return url.rpartition("/")[2]


async def stored(client: httpx2.AsyncClient, url: str) -> bytes:
    return (await client.get(f"/chunked-upload/files/{id_of(url)}")).content
