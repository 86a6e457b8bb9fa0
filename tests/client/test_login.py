"""Who is asking: keys, and headers that expire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.client.conftest import File
from tests.client.fake import BASE, Asked, Broken, FakeServer, Reply, page, problem, reply

from wherry.client import (
    AsyncClient,
    Unauthorized,
)
from wherry.core.limits import MiB

pytestmark = pytest.mark.anyio


UNAUTHORIZED = problem(401, "unauthorized")


def needs(token: str, refusal: Reply = UNAUTHORIZED) -> Callable[[Asked], Reply | None]:
    expected = f"Bearer {token}"
    return lambda asked: None if asked.headers.get("authorization") == expected else refusal


async def test_a_key_is_sent_as_a_bearer(transport: Broken, server: FakeServer, file: File) -> None:
    server.trouble = needs("secret")
    async with AsyncClient(BASE, transport=transport, key="secret") as client:
        await client.upload(file(6 * MiB))
    async with AsyncClient(BASE, transport=transport, key="wrong") as client:
        with pytest.raises(Unauthorized):
            await client.upload(file(6 * MiB))


REFUSALS = {
    "wherry": UNAUTHORIZED,
    "fastapi": reply(401, {"detail": "Not authenticated"}),
    "fastapi-403": reply(403, {"detail": "Not authenticated"}),
    "proxy": page(403),
}


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_headers_are_asked_for_anew_after_a_401_or_403_and_the_upload_goes_on(
    transport: Broken, server: FakeServer, file: File, refusal: Reply, is_async: bool
) -> None:
    server.chunk_size = MiB
    given = iter(["one", "two", "three"])

    def expire(asked: Asked) -> Reply | None:
        done = len([status for status in server.statuses("chunk") if status == 200])
        token = "one" if done < 3 else "two" if done < 9 else "three"
        return needs(token, refusal)(asked)

    def headers() -> dict[str, str]:
        return {"authorization": f"Bearer {next(given)}"}

    async def headers_later() -> dict[str, str]:
        return headers()

    server.trouble = expire
    path = file(20 * MiB)
    wanted = headers_later if is_async else headers
    async with AsyncClient(BASE, transport=transport, headers=wanted) as client:
        await client.upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert next(given, None) is None, "asked for once for each expiry"


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_of_fresh_headers_is_final(
    transport: Broken, server: FakeServer, file: File, refusal: Reply
) -> None:
    server.trouble = needs("never", refusal)
    asked_for: list[str] = []

    def headers() -> dict[str, str]:
        asked_for.append("headers")
        return {}

    async with AsyncClient(BASE, transport=transport, headers=headers) as client:
        with pytest.raises(Unauthorized):
            await client.upload(file(6 * MiB))
    assert len(asked_for) == 2
