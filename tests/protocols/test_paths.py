"""What clients report of the path that they use, and what they are told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx2
import pytest
from tests.protocols.conftest import KiB, Serve, Uploading
from tests.protocols.problems import problem

from wherry.core.paths import QUORUM

pytestmark = pytest.mark.anyio

MiB = 1 << 20
ADMIN = {"Authorization": "Bearer admin"}


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx2.AsyncClient]:
    async with serve() as client:
        yield client


Send = Callable[..., Any]


async def send(client: httpx2.AsyncClient, size: int, **more: Any) -> httpx2.Response:
    """One chunk of `size` bytes of a new upload. `more`: parameters of the query, and `headers`."""
    headers = more.pop("headers", {})
    begun = await client.post(
        "/chunked-upload/init", json={"filename": "a.bin", "size": size}, headers=headers
    )
    return await client.post(
        "/chunked-upload/chunk",
        params={"upload_id": begun.json()["upload_id"], "offset": 0, **more},
        content=bytes(size),
        headers=headers,
    )


async def told(client: httpx2.AsyncClient, **headers: str) -> Any:
    init = {"filename": "a.bin", "size": 10}
    answer = await client.post("/chunked-upload/init", json=init, headers=headers)
    path = answer.json()["path"]
    status = await client.get(f"/chunked-upload/{answer.json()['upload_id']}", headers=headers)
    assert status.json()["path"] == path
    return path


async def test_nothing_is_told_while_nothing_is_known(client: httpx2.AsyncClient) -> None:
    assert await told(client) is None


async def test_a_chunk_that_arrived_is_told_as_what_passes(client: httpx2.AsyncClient) -> None:
    assert (await send(client, 1 * MiB)).status_code == 200
    assert await told(client) == {"passes": 1 * MiB, "refuses": None}


async def test_an_ordinary_upload_is_told_as_what_passes_with_its_form(
    client: httpx2.AsyncClient,
) -> None:
    files = {"file": ("a.bin", bytes(1 * MiB))}
    answer = await client.post("/chunked-upload/upload", files=files)
    assert answer.status_code == 200, answer.text
    length = int(answer.request.headers["content-length"])
    assert length > 1 * MiB
    assert await told(client) == {"passes": length, "refuses": None}


async def test_a_body_that_is_refused_by_us_shows_nothing(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/chunked-upload/chunk",
        params={"upload_id": "0" * 32, "offset": 0},
        content=bytes(1 * MiB),
    )
    problem(answer, 404, "upload-not-found")
    assert await told(client) is None


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 65536):
        yield bytes(65536)


async def test_the_body_of_a_repeated_upload_shows_nothing(serve: Serve) -> None:
    async def whole(client: httpx2.AsyncClient, host: str, size: int) -> httpx2.Response:
        return await client.post(
            "/chunked-upload/upload",
            content=pieces(size),
            headers={
                "Content-Length": str(size),
                "Idempotency-Key": '"once"',
                "Content-Disposition": 'attachment; filename="a.bin"',
                "Host": host,
            },
        )

    async with serve() as client:
        assert (await whole(client, "one.example", 3 * MiB)).status_code == 200
        assert (await whole(client, "two.example", 3 * MiB)).status_code == 200
        assert await told(client, host="one.example") == {"passes": 3 * MiB, "refuses": None}
        assert await told(client, host="two.example") is None


async def test_a_chunk_that_passes_reports_a_larger_one_that_did_not(
    client: httpx2.AsyncClient,
) -> None:
    answer = await send(client, 1 * MiB, refused=2 * MiB, refused_by="nginx/1.22.1")
    assert answer.status_code == 200
    assert await told(client) == {"passes": 1 * MiB, "refuses": 2 * MiB}
    other = {"Authorization": "Bearer bob"}
    assert await told(client, **other) == {"passes": 1 * MiB, "refuses": None}


async def test_init_reports_what_its_client_knew_before(client: httpx2.AsyncClient) -> None:
    upload = Uploading(client)
    answer = await upload.init(10, refused=2 * MiB, refused_by="cloudflare")
    assert answer.json()["path"] == {"passes": None, "refuses": 2 * MiB}


async def test_all_owners_are_told_when_enough_have_reported(client: httpx2.AsyncClient) -> None:
    for number in range(QUORUM):
        headers = {"Authorization": f"Bearer q{number}"}
        assert (await send(client, 1 * MiB, refused=2 * MiB, headers=headers)).status_code == 200
    assert await told(client) == {"passes": 1 * MiB, "refuses": 2 * MiB}


async def test_a_larger_body_that_comes_by_another_way_ends_no_reports_of_others(
    client: httpx2.AsyncClient,
) -> None:
    for number in range(QUORUM):
        headers = {"Authorization": f"Bearer q{number}"}
        assert (await send(client, 1 * MiB, refused=2 * MiB, headers=headers)).status_code == 200
    assert (await send(client, 3 * MiB)).status_code == 200
    other = {"Authorization": "Bearer bob"}
    assert await told(client, **other) == {"passes": 1 * MiB, "refuses": 2 * MiB}


async def test_each_public_host_has_a_path_of_its_own(client: httpx2.AsyncClient) -> None:
    narrow, wide = {"Host": "Narrow.example:8443"}, {"Host": "wide.example"}
    await send(client, 1 * MiB, refused=2 * MiB, headers=narrow)
    await send(client, 3 * MiB, headers=wide)
    assert await told(client, host="narrow.EXAMPLE:8443") == {
        "passes": 1 * MiB,
        "refuses": 2 * MiB,
    }
    assert await told(client, host="wide.example") == {"passes": 3 * MiB, "refuses": None}


@pytest.mark.parametrize(
    "report",
    [
        {"refused": "x"},
        {"refused": ""},
        {"refused": "-1"},
        {"refused": "9" * 30},
        {"refused": 65535},
        {"refused": 1 * MiB},
        {"refused_by": "nginx"},
    ],
)
async def test_a_report_that_makes_no_sense_is_ignored_and_its_chunk_is_kept(
    client: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    assert (await send(client, 1 * MiB, **report)).status_code == 200
    assert await told(client) == {"passes": 1 * MiB, "refuses": None}


async def test_a_name_that_is_none_leaves_the_report_in_force(client: httpx2.AsyncClient) -> None:
    await send(client, 1 * MiB, refused=2 * MiB, refused_by="<script>" * 10)
    assert await told(client) == {"passes": 1 * MiB, "refuses": 2 * MiB}


@pytest.mark.parametrize("host", ["a b", '"><x>', "x" * 300, ""])
async def test_a_host_that_is_none_is_not_remembered(serve: Serve, host: str) -> None:
    async with serve() as client:
        assert (await send(client, 1 * MiB, headers={"Host": host})).status_code == 200
        assert await told(client, host=host) is None
        page = (await client.get("/chunked-upload/metrics", headers=ADMIN)).text
    assert "wherry_path_passes_bytes{" not in page


async def test_a_list_leaves_the_path_out(client: httpx2.AsyncClient) -> None:
    await send(client, 1 * MiB)
    (upload,) = (await client.get("/chunked-upload/")).json()["uploads"]
    assert upload["path"] is None


async def test_the_command_for_the_operator_has_the_address_that_requests_had(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    cases: list[tuple[dict[str, str], str | None]] = [
        ({"X-Forwarded-Proto": "https"}, "https"),
        ({"X-Forwarded-Proto": "http"}, "http"),
        ({"X-Forwarded-Proto": "HTTPS, http"}, "https"),  # two proxies, the first one with TLS
        ({"X-Forwarded-Proto": "http", "Origin": "https://h3.example"}, "http"),
        ({"Origin": "http://h4.example"}, "http"),
        ({"Origin": "https://h5.example"}, "https"),
        ({"Origin": "https://other.example"}, None),
        ({"X-Forwarded-Proto": "$(reboot)"}, None),
        ({}, None),
    ]
    async with serve() as client:
        for number, (headers, _) in enumerate(cases):
            sent = {"Host": f"h{number}.example", **headers}
            assert (await send(client, 128 * KiB, refused=MiB, headers=sent)).status_code == 200
        with anyio.fail_after(60):
            while caplog.text.count("path-narrow") < len(cases):
                await anyio.sleep(0.05)
    for number, (_, scheme) in enumerate(cases):
        host = f"h{number}.example"
        [line] = [text for text in caplog.messages if f"path-narrow host={host} " in text]
        address = "ADDRESS" if scheme is None else f"{scheme}://{host}/api"
        assert f'command="wherry doctor {address}"' in line


# Our own refusals can be told from those of a proxy.


async def test_every_refusal_has_its_code_in_a_header(client: httpx2.AsyncClient) -> None:
    upload = Uploading(client)
    found = {
        "bad-request": await upload.init("x"),
        "upload-not-found": await upload.status("0" * 32),
        "not-found": await client.get("/chunked-upload/files/x"),
    }
    for code, answer in found.items():
        assert answer.headers["wherry-error"] == answer.json()["code"]
        assert code in (answer.json()["code"], "not-found")
    assert "wherry-error" not in (await upload.init(10)).headers


async def test_a_413_of_ours_has_its_limit_and_its_scope_and_the_header(serve: Serve) -> None:
    async with serve(max_size="2MiB", max_chunk="1MiB", chunk_size="1MiB") as client:
        upload = Uploading(client)
        of_file = problem(await upload.init(2 * MiB + 1), 413, "too-large")
        assert (of_file["scope"], of_file["limit"]) == ("file", 2 * MiB)
        upload_id = await upload.begin(2 * MiB)
        answer = await upload.chunk(upload_id, 0, bytes(MiB + 1))
        of_request = problem(answer, 413, "too-large")
        assert (of_request["scope"], of_request["limit"]) == ("request", 1 * MiB)
        assert answer.headers["wherry-error"] == "too-large"
        text = {"filename": "a", "size": 1, "metadata": {"x": "y" * 70_000}}
        answer = await client.post("/chunked-upload/init", json=text)
        of_json = problem(answer, 413, "too-large")
        assert (of_json["scope"], of_json["limit"]) == ("request", 65536)
