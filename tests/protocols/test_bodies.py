"""A body as ASGI brings it: in pieces, cut, stalled, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from wherry.body import Ended
from wherry.core.errors import BadRequest, UploadError
from wherry.protocols.bodies.asgi import AsgiSource
from wherry.protocols.bodies.form import FormFile
from wherry.protocols.bodies.source import Form, SourceBody

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[Message]]


def bringing(pieces: list[bytes], then: str = "end") -> Receive:
    """A client that sends these pieces, then ends, hangs, or is gone."""
    left = list(pieces)

    async def receive() -> Message:
        if left:
            piece = left.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(left) or then != "end"}
        if then == "hang":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


async def poured(source: AsgiSource, limit: int) -> tuple[bytes, Ended]:
    got = bytearray()
    async with source:
        ended = await SourceBody(source).pour(lambda data: got.extend(data), limit)
    return bytes(got), ended


@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(st.binary(max_size=9)), limits=st.lists(st.integers(1, 20), min_size=1))
def test_whatever_the_pieces_the_bytes_come_in_order(
    pieces: list[bytes], limits: list[int]
) -> None:
    whole = b"".join(pieces)

    async def run() -> None:
        body = SourceBody(AsgiSource(bringing(pieces or [b""]), len(whole), 5))
        got = bytearray()
        for limit in limits:
            before = len(got)
            assert body.remaining == len(whole) - before
            if not body.remaining:
                break
            assert await body.pour(lambda data: got.extend(data), limit) is Ended.WHOLE
            assert len(got) - before == min(limit, len(whole) - before)
        assert whole.startswith(got)

    anyio.run(run)


async def test_a_client_that_goes_away_has_been_cut() -> None:
    source = AsgiSource(bringing([b"abc"], then="gone"), 10, 5)
    assert await poured(source, 10) == (b"abc", Ended.CUT)
    assert source.remaining == 0


async def test_a_client_that_sends_nothing_more_has_stalled_and_what_came_is_kept() -> None:
    source = AsgiSource(bringing([b"abc"], then="hang"), 10, 0.05)
    assert await poured(source, 10) == (b"abc", Ended.STALLED)


async def test_a_body_that_trickles_has_stalled_however_often_a_byte_comes() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    got, ended = await poured(AsgiSource(receive, 1000, 0.1), 1000)
    assert ended is Ended.STALLED
    assert 0 < len(got) < 100


async def test_a_slow_disk_is_not_the_clients_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block takes longer to write than a client may be silent."""
    loop, written = asyncio.get_running_loop(), 0
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + 10.0 * written)
    at_once = bringing([b"x" * 1000] * 5)

    async def receive() -> Message:
        await asyncio.sleep(0.001)
        return await at_once()

    def slow(data: memoryview) -> None:
        nonlocal written
        written += 1

    source = AsgiSource(receive, 5000, 5.0)
    body = SourceBody(source)
    async with source:
        for _ in range(5):
            assert await body.pour(slow, 1000) is Ended.WHOLE
    assert written == 5


async def test_a_cancelled_pour_returns_only_after_the_last_write() -> None:
    import threading

    in_sink, finish = threading.Event(), threading.Event()
    wrote = False

    def sink(_: memoryview) -> None:
        nonlocal wrote
        in_sink.set()
        finish.wait(5)
        wrote = True

    source = AsgiSource(bringing([b"abc"], then="hang"), 10, 5)
    async with source:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    await anyio.to_thread.run_sync(in_sink.wait)
                    scope.cancel()
                    finish.set()

                group.start_soon(cancel)
                await SourceBody(source).pour(sink, 10)
    assert wrote


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=300) | st.text('ab-\r\n:;="', max_size=300).map(str.encode),
    cuts=st.lists(st.integers(1, 40)),
    prefix=st.sampled_from(
        [b"", b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n']
    ),
)
def test_any_bytes_are_a_form_or_an_upload_error(
    data: bytes, cuts: list[int], prefix: bytes
) -> None:
    data = prefix + data
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(data[at : at + cut])
        at += cut
    pieces.append(data[at:])

    async def run() -> None:
        content_type = "multipart/form-data; boundary=b"
        async with AsgiSource(bringing(pieces), len(data), 5) as source:
            try:
                file = FormFile(source, content_type, "file")
                body = SourceBody(file, await file.form())
                while body.remaining:
                    if await body.pour(lambda _: None, 100) is not Ended.WHOLE:
                        break
            except UploadError:
                pass

    anyio.run(run)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"x; boundary={'y' * 71}"],
)
async def test_a_form_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(BadRequest):
        FormFile(AsgiSource(bringing([b""]), 0, 1), content_type, "file")


class Lane:
    """A source that has nothing to do with ASGI: pieces of a buffer that is used again."""

    timeout = 5.0
    ended: Ended | None = None

    def __init__(self, data: bytes, size: int) -> None:
        self.remaining = len(data)
        self._pieces = [data[at : at + size] for at in range(0, len(data), size)]
        self._buffer = bytearray(size)

    async def read(self) -> list[memoryview]:
        if not self._pieces:
            self.ended, self.remaining = Ended.WHOLE, 0
            return []
        piece = self._pieces.pop(0)
        self._buffer[: len(piece)] = piece
        self.remaining -= len(piece)
        return [memoryview(self._buffer)[: len(piece)]]

    async def is_ready(self) -> bool:
        return False

    def excuse(self, seconds: float) -> None:
        assert seconds >= 0


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_form_is_read_from_any_source(size: int) -> None:
    content = bytes(range(256)) * 9
    data = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        b"Content-Type: video/mp4\r\n\r\n" + content + b"\r\n--b--\r\n"
    )
    file = FormFile(Lane(data, size), "multipart/form-data; boundary=b", "file")
    form = await file.form()
    assert form == Form({"note": "hello"}, "a.bin", "video/mp4")
    body, got = SourceBody(file, form), bytearray()
    assert body.remaining == len(content)
    assert await body.pour(lambda piece: got.extend(piece), len(content)) is Ended.WHOLE
    assert (bytes(got), body.remaining) == (content, 0)


async def test_what_follows_the_file_is_read_before_its_last_bytes_are_handed_on() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    more = b'\r\n--b\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--b--\r\n'
    # As if the form ended behind the file, so that the file is all there before the rest comes.
    length = len(head) + len(b"\r\n--b--\r\n")
    async with AsgiSource(bringing([head, more]), length, 5) as source:
        file = FormFile(source, "multipart/form-data; boundary=b", "file")
        body, got = SourceBody(file, await file.form()), bytearray()
        assert body.remaining == 3
        with pytest.raises(BadRequest, match="fields after the file"):
            await body.pour(lambda piece: got.extend(piece), 3)
    assert got == b""
