"""What a client knows of the path to a server: from before, and from the server; its reports."""

from __future__ import annotations

import httpx2
import pytest
from tests.client.conftest import File
from tests.client.fake import BASE, Asked, Broken, FakeServer, Reply, page

from wherry.client import AsyncClient
from wherry.client.chunk_size import FIRST, NetworkPath
from wherry.client.paths import path_to
from wherry.core.limits import KiB, MiB

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_line")]


@pytest.fixture
def path() -> NetworkPath:
    return NetworkPath()


async def test_a_refusal_is_reported_once_with_the_next_chunk_that_passes(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: (
        page(413, server="nginx/1.22.1") if len(asked.body) > 256 * KiB else None
    )
    await client.upload(file(2 * MiB))
    reports = [
        (asked.query["refused"], asked.query["refused_by"])
        for asked in server.verbs("chunk")
        if "refused" in asked.query
    ]
    assert len(reports) <= 4, "at once, before the first of them was answered"
    assert set(reports) == {("524288", "nginx/1.22.1")}


async def test_what_was_refused_before_is_reported_to_init(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: page(413) if len(asked.body) > 300_000 else None
    await client.upload(file(400_000))
    assert server.verbs("init")[0].json["refused"] == 400_000
    assert not any("refused" in asked.query for asked in server.verbs("chunk"))


async def test_what_the_server_knows_is_used_at_once(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.path, server.max_body = {"passes": MiB, "refuses": 2 * MiB}, MiB
    done = await client.upload(file(12 * MiB))
    assert done.refused == 0
    sizes = [len(asked.body) for asked in server.verbs("chunk")]
    assert sorted(sizes) == [FIRST, MiB - FIRST, *[MiB] * 11], "the first one tells the speed"


async def test_a_path_that_the_server_knows_to_be_wide_needs_no_trial(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.path = {"passes": 5 * MiB, "refuses": None}
    await client.upload(file(20 * MiB))
    sizes = [len(asked.body) for asked in server.verbs("chunk")]
    assert sorted(sizes) == [FIRST, 5 * MiB - FIRST, *[5 * MiB] * 3], (
        "the first one tells the speed"
    )


async def test_a_filter_of_raw_bodies_gets_forms(
    client: AsyncClient, server: FakeServer, file: File, path: NetworkPath
) -> None:
    def raw(asked: Asked) -> Reply | None:
        is_raw = asked.headers.get("content-type") in ("application/octet-stream", "video/mp4")
        return page(406) if is_raw else None

    server.trouble = raw
    film = file(4 * MiB)
    done = await client.upload(film)
    assert bytes(server.only.data) == film.read_bytes()
    assert (done.refused, path.as_form, path.refused) == (0, True, None)
    assert server.statuses("chunk").count(406) == 1
    photo = await client.upload(file(300 * KiB))
    assert photo.requests == 1


async def test_a_filter_of_every_body_is_the_error_that_it_answers(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = lambda asked: page(403) if asked.verb == "chunk" else None
    with pytest.raises(Exception, match="403"):
        await client.upload(file(MiB))
    sizes = [len(asked.body) for asked in server.verbs("chunk")]
    assert sizes[0] == FIRST
    assert sizes[1] < FIRST, "the smallest chunk, as a form"
    assert len(sizes) == 2


def test_a_path_belongs_to_the_origin_and_not_to_the_address_of_the_api() -> None:
    one = path_to(httpx2.URL("https://example.org/api"))
    assert path_to(httpx2.URL("https://example.org/v2/api")) is one
    for other in ("http://example.org/api", "https://example.org:8443/api", "https://a.org/api"):
        assert path_to(httpx2.URL(other)) is not one


def test_a_path_is_forgotten_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    address = httpx2.URL("https://example.org/api")
    monkeypatch.setattr("wherry.client.paths.time.monotonic", lambda: 1000.0)
    one = path_to(address)
    monkeypatch.setattr("wherry.client.paths.time.monotonic", lambda: 1000.0 + 86_399)
    assert path_to(address) is one
    monkeypatch.setattr("wherry.client.paths.time.monotonic", lambda: 1000.0 + 86_401)
    assert path_to(address) is not one


async def test_a_transport_of_its_own_is_a_path_of_its_own(
    server: FakeServer, transport: Broken, file: File
) -> None:
    async with AsyncClient(BASE, transport=transport) as client:
        await client.upload(file(MiB))
    assert path_to(httpx2.URL(BASE)).passed == 0
