"""The limiting proxy refuses and passes as nginx does, and breaks what it is told to break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from tests.testing.conftest import Upstream

from wherry.core.limits import KiB, MiB
from wherry.testing.ports import free_port
from wherry.testing.proxy import Fault, LimitingProxy

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def behind(
    upstream: Upstream, *faults: Fault, max_body: int | None = MiB
) -> AsyncIterator[tuple[LimitingProxy, httpx2.AsyncClient]]:
    async with (
        LimitingProxy("127.0.0.1", upstream.port, max_body=max_body, faults=faults) as proxy,
        httpx2.AsyncClient(base_url=proxy.url, timeout=60) as client,
    ):
        yield proxy, client


async def pieces(size: int) -> AsyncIterator[bytes]:
    for at in range(0, size, 10_000):
        yield bytes(min(10_000, size - at))


async def raw(proxy: LimitingProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


# The limit.


@pytest.mark.parametrize("limit", [100, 64 * KiB, MiB])
async def test_a_body_at_the_limit_passes_and_one_more_byte_does_not(
    upstream: Upstream, limit: int
) -> None:
    async with behind(upstream, max_body=limit) as (proxy, client):
        passed = await client.post("/", content=bytes(limit))
        refused = await client.post("/", content=bytes(limit + 1))
    assert (passed.status_code, refused.status_code) == (200, 413)
    assert passed.text == f"{limit} bytes"
    assert refused.headers["content-type"] == "text/html"
    assert "413" in refused.text
    assert (proxy.requests, proxy.refused, proxy.bytes_in) == (2, 1, limit)
    assert [heard.target for heard in upstream.heard] == ["/"]


async def test_a_refusal_comes_before_the_body(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_a_client_that_reads_only_after_sending_everything_reads_the_refusal(
    upstream: Upstream,
) -> None:
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n")
        for _ in range(8):
            writer.write(bytes(MiB))
            await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_a_chunked_body_is_refused_when_it_turns_out_too_large(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, client):
        passed = await client.post("/", content=pieces(MiB))
        refused = await client.post("/", content=pieces(MiB + 1))
    assert (passed.status_code, refused.status_code) == (200, 413)
    assert passed.text == f"{MiB} bytes"
    assert proxy.refused == 1
    assert [heard.is_whole for heard in upstream.heard] == [True, False]


async def test_without_a_limit_everything_passes(upstream: Upstream) -> None:
    async with behind(upstream, max_body=None) as (_, client):
        assert (await client.post("/", content=bytes(8 * MiB))).text == f"{8 * MiB} bytes"


# What passes.


async def test_requests_and_answers_pass_as_they_are(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, client):
        answer = await client.put("/a%20b?c=d&e", content=b"abc", headers={"X-Word": "wherry"})
        await client.head("/")
        await client.delete("/x")
    first, second, third = upstream.heard
    assert (first.method, first.target, first.body) == ("PUT", "/a%20b?c=d&e", b"abc")
    assert first.headers["x-word"] == "wherry"
    assert first.headers["host"] == f"127.0.0.1:{proxy.port}"
    assert (second.method, third.method) == ("HEAD", "DELETE")
    assert (answer.status_code, answer.headers["x-count"]) == (200, "1")


async def test_a_connection_serves_many_requests(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        # Pipelined: the second is there before the first is answered.
        writer.write(b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 2)
        for _ in range(2):
            assert (await reader.readuntil(b"3 bytes")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"0 bytes")
        writer.close()
    assert proxy.requests == 3


async def test_a_body_streams_to_the_upstream_as_it_comes(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        await upstream.until("heard and heard[0].body == b'abc'")
        writer.write(b"def")
        assert (await reader.readuntil(b"6 bytes")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_an_answer_streams_to_the_client_as_it_comes(upstream: Upstream) -> None:
    async with behind(upstream) as (_, client), client.stream("GET", "/stream") as answer:
        text = answer.aiter_text()
        assert await anext(text) == "first "
        upstream.go_on.set()
        assert "".join([piece async for piece in text]) == "0 bytes"


async def test_an_answer_before_the_body_passes_and_the_connection_lives_on(
    upstream: Upstream,
) -> None:
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        assert (await reader.readuntil(b" bytes")).startswith(b"HTTP/1.1 401 ")
        writer.write(b"defGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b" bytes")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_client_that_expects_100_continue_gets_it(upstream: Upstream) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        writer.write(head % 3)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"abc")
        assert (await reader.readuntil(b"3 bytes")).startswith(b"HTTP/1.1 200 ")
        writer.write(head % (2 * MiB))
        assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_a_client_that_breaks_off_breaks_off_the_upstream(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, _):
        _, writer = await raw(proxy)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        await upstream.until("heard and heard[0].body == b'abc'")
        writer.close()
        await upstream.until("heard[0].is_cut")
    assert upstream.heard[0].body == b"abc"


async def test_a_client_that_does_not_wait_for_its_answer_ends_the_request(
    upstream: Upstream,
) -> None:
    async with behind(upstream) as (proxy, _):
        _, writer = await raw(proxy)
        writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await upstream.until("heard and heard[0].is_whole")
        writer.close()
        await upstream.until("heard[0].is_cut")


async def test_an_answer_of_its_own_to_head_leaves_the_connection_open(upstream: Upstream) -> None:
    async with behind(upstream) as (proxy, _):
        reader, writer = await raw(proxy)
        for _ in range(2):
            writer.write(b"HEAD /dead HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
        writer.close()


async def test_a_dead_upstream_is_a_502(upstream: Upstream) -> None:
    async with behind(upstream) as (_, client):
        assert (await client.post("/dead", content=bytes(MiB))).status_code == 502
        assert (await client.post("/", content=bytes(MiB))).status_code == 200
    async with LimitingProxy("127.0.0.1", free_port()) as proxy, httpx2.AsyncClient() as client:
        assert (await client.head(proxy.url)).status_code == 502
        assert (await client.post(proxy.url, content=bytes(MiB))).status_code == 502


async def test_the_proxy_runs_in_a_thread_for_clients_that_block(upstream: Upstream) -> None:
    def use() -> tuple[int, int]:
        with LimitingProxy("127.0.0.1", upstream.port).run_in_thread() as proxy:
            httpx2.post(proxy.url, content=b"abc")
            return httpx2.post(proxy.url, content=bytes(2 * MiB)).status_code, proxy.requests

    assert await asyncio.to_thread(use) == (413, 2)


# Faults.


async def test_a_body_too_large_can_be_answered_by_a_reset(upstream: Upstream) -> None:
    fault = Fault(over=MiB, reset_at=64 * KiB)
    async with behind(upstream, fault) as (proxy, client):
        with pytest.raises((httpx2.WriteError, httpx2.ReadError)):
            await client.post("/", content=bytes(8 * MiB))
        assert (await client.post("/", content=bytes(MiB))).status_code == 200
    assert proxy.refused == 0
    assert len(upstream.heard) == 1


async def test_a_reset_is_a_real_one(upstream: Upstream) -> None:
    async with behind(upstream, Fault(reset_at=10)) as (proxy, _):
        reader, writer = await raw(proxy)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
        writer.write(bytes(50))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("cut", [0, 1, 100_000, 999_999])
async def test_a_body_is_cut_after_exactly_so_many_bytes(upstream: Upstream, cut: int) -> None:
    async with behind(upstream, Fault(cut_after=cut, times=1)) as (proxy, client):
        with pytest.raises(httpx2.TransportError):
            await client.post("/", content=bytes(MiB))
        await upstream.until("heard and heard[0].is_cut")
        assert proxy.bytes_in == cut
        assert (await client.post("/", content=bytes(MiB))).status_code == 200
    first, second = upstream.heard
    assert (len(first.body), first.is_whole) == (cut, False)
    assert (len(second.body), second.is_whole) == (MiB, True)


async def test_a_dropped_answer_was_given(upstream: Upstream) -> None:
    async with behind(upstream, Fault(drops_answer=True, times=1)) as (_, client):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/", content=b"abc")
        assert [heard.is_whole for heard in upstream.heard] == [True]
        assert (await client.post("/", content=b"abc")).status_code == 200


async def test_every_third_request_can_be_put_off(upstream: Upstream) -> None:
    fault = Fault(status=503, retry_after=7, every=3)
    async with behind(upstream, fault) as (proxy, client):
        answers = [await client.post("/", content=bytes(MiB)) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 200, 503] * 2
    assert answers[2].headers["retry-after"] == "7"
    assert len(upstream.heard) == 4
    assert (proxy.requests, proxy.refused) == (6, 0)


async def test_a_duplicated_request_is_heard_twice_and_answered_once(upstream: Upstream) -> None:
    async with behind(upstream, Fault(is_duplicated=True)) as (proxy, client):
        answer = await client.post("/x", content=bytes(100_000))
    assert answer.headers["x-count"] == "2"
    assert [(heard.target, len(heard.body)) for heard in upstream.heard] == [("/x", 100_000)] * 2
    assert proxy.bytes_in == 200_000


async def test_a_fault_is_for_the_requests_it_names(upstream: Upstream) -> None:
    faults = (
        Fault(path="/chunk", status=502, times=2),
        Fault(path="/chunk", every=2, status=503),
        Fault(path="/big", over=10, status=500),
    )
    async with behind(upstream, *faults) as (_, client):

        async def status(path: str, size: int = 0) -> int:
            return (await client.post(path, content=bytes(size))).status_code

        assert [await status("/init"), await status("/complete")] == [200, 200]
        assert [await status("/chunk?n=1") for _ in range(5)] == [502, 502, 200, 503, 200]
        assert [await status("/big", 10), await status("/big", 11)] == [200, 500]


async def test_a_delay_comes_before_everything(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append((seconds, len(upstream.heard)))
        await real(0)

    faults = (Fault(delay=12.5), Fault(status=503))
    async with behind(upstream, *faults) as (_, client):
        monkeypatch.setattr(asyncio, "sleep", sleep)
        assert (await client.post("/", content=b"abc")).status_code == 503
    assert (12.5, 0) in slept
