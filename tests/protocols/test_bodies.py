"""A body as ASGI brings it: in pieces, cut, stalled, cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from itertools import chain, repeat
from typing import Any, NoReturn

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from wherry.body import Ended, Sink
from wherry.core.errors import BadRequest, UploadError
from wherry.protocols.bodies import source as source_module
from wherry.protocols.bodies.asgi import AsgiSource
from wherry.protocols.bodies.form import FormFile
from wherry.protocols.bodies.source import Form, Held, SourceBody

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _nothing_is_held_afterwards() -> Iterator[None]:
    yield
    assert Held._by_all == 0


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
    ended = await poured_into(got.extend, source, limit)
    return bytes(got), ended


async def poured_into(sink: Sink, source: AsgiSource, limit: int) -> Ended:
    async with source:
        with closing(SourceBody(source)) as body:
            return await body.pour(sink, limit)


async def gathered(body: SourceBody, most: int = 100) -> bytes | None:
    pieces = await body.gather(most)
    return None if pieces is None else b"".join(pieces)


@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(st.binary(max_size=9)), limits=st.lists(st.integers(1, 20), min_size=1))
def test_whatever_the_pieces_the_bytes_come_in_order(
    pieces: list[bytes], limits: list[int]
) -> None:
    whole = b"".join(pieces)

    async def run() -> None:
        source = AsgiSource(bringing(pieces or [b""]), len(whole), 60)
        async with source:
            with closing(SourceBody(source)) as body:
                await in_steps(body)

    async def in_steps(body: SourceBody) -> None:
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
    source = AsgiSource(bringing([b"abc"], then="gone"), 10, 60)
    assert await poured(source, 10) == (b"abc", Ended.CUT)
    assert source.remaining == 0


async def test_a_client_that_sends_nothing_more_has_stalled_and_what_came_is_kept() -> None:
    source = AsgiSource(bringing([b"abc"], then="hang"), 10, 0.05)
    assert await poured(source, 10) == (b"abc", Ended.STALLED)


async def test_a_body_that_trickles_has_stalled_however_often_a_byte_comes() -> None:
    pauses = chain([0.0], repeat(0.01))  # the first byte comes, however busy the machine is

    async def receive() -> Message:
        await asyncio.sleep(next(pauses))
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
    async with source:
        with closing(SourceBody(source)) as body:
            for _ in range(5):
                assert await body.pour(slow, 1000) is Ended.WHOLE
    assert written == 5


async def test_a_message_costs_no_task_and_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers, real = asyncio.get_running_loop(), 0, asyncio.get_running_loop().call_at

    def counting(*args: Any, **options: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return real(*args, **options)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a task was made")

    data = [b"x" * 1000] * 500
    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_at", counting)
        patched.setattr(loop, "create_task", refuse)
        found = await poured(AsgiSource(bringing(data), 500_000, 60), 500_000)
    assert found == (b"".join(data), Ended.WHOLE)
    assert timers <= 2


async def test_the_next_block_is_read_while_one_is_written_and_no_more_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "BLOCK", 100)
    asked, in_sink, finish, got = 0, threading.Event(), threading.Event(), bytearray()
    bring = bringing([bytes([n]) * 50 for n in range(20)])

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return await bring()

    def slow(data: memoryview) -> None:
        in_sink.set()
        assert finish.wait(60)
        got.extend(data)

    pouring = asyncio.create_task(poured_into(slow, AsgiSource(receive, 1000, 30), 1000))
    while not in_sink.is_set() or asked < 4:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert asked == 4  # two messages are being written, two wait
    finish.set()
    assert await pouring is Ended.WHOLE
    assert got == b"".join(bytes([n]) * 50 for n in range(20))


async def test_what_a_slow_client_sent_is_written_though_nothing_more_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "HELD_SECONDS", 0.01)
    got, go_on = bytearray(), asyncio.Event()
    pieces = [b"a" * 10, b"b" * 10, b"c" * 10]

    async def receive() -> Message:
        await go_on.wait()
        go_on.clear()
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    pouring = asyncio.create_task(poured_into(got.extend, AsgiSource(receive, 30, 30), 30))
    for size in (10, 20, 30):
        go_on.set()
        while len(got) < size:
            await asyncio.sleep(0.001)
    assert await pouring is Ended.WHOLE
    assert got == b"a" * 10 + b"b" * 10 + b"c" * 10


@pytest.mark.parametrize("begun_by", ["block", "timer"])
async def test_what_the_sink_raises_ends_the_pour(
    begun_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "BLOCK", 100 if begun_by == "block" else 10_000)
    monkeypatch.setattr(source_module, "HELD_SECONDS", 0.01)

    async def receive() -> Message:
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"x" * 50, "more_body": True}

    def fail(_: memoryview) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await poured_into(fail, AsgiSource(receive, 10_000, 30), 10_000)


async def test_a_form_that_turns_out_wrong_waits_for_the_write_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "BLOCK", 10)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    late = b'\r\n--b\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--b--\r\n'
    in_sink, wrote = threading.Event(), False
    pieces = [head + b"a" * 10, b"b" * 5, late, b"c" * 100]

    async def receive() -> Message:
        if len(pieces) < 4:
            while not in_sink.is_set():
                await asyncio.sleep(0.001)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    def slow(_: memoryview) -> None:
        nonlocal wrote
        in_sink.set()
        time.sleep(0.05)
        wrote = True

    async with AsgiSource(receive, sum(map(len, pieces)), 30) as source:
        file = FormFile(source, "multipart/form-data; boundary=b", "file")
        with closing(SourceBody(file, await file.form())) as body:
            with pytest.raises(BadRequest, match="fields after the file"):
                await body.pour(slow, body.remaining)
            assert wrote
    assert Held._by_all == 0


@pytest.mark.parametrize("is_gathered", [False, True])
async def test_a_form_that_comes_in_one_piece_brings_its_file(is_gathered: bool) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    data, got = head + b"abc" + b"\r\n--b--\r\n", bytearray()
    async with AsgiSource(bringing([data]), len(data), 30) as source:
        file = FormFile(source, "multipart/form-data; boundary=b", "file")
        with closing(SourceBody(file, await file.form())) as body:
            assert body.remaining == 3
            if is_gathered:
                assert await gathered(body) == b"abc"
            assert await body.pour(got.extend, 3) is Ended.WHOLE
            assert (bytes(got), body.remaining) == (b"abc", 0)


async def test_who_cancels_a_stalled_request_is_not_taken_for_the_timer() -> None:
    source = AsgiSource(bringing([], then="hang"), 10, 0.02)
    both = 0

    async def reading() -> None:
        nonlocal both
        own = asyncio.current_task()
        assert own is not None
        # In the same turn of the loop as the timer, which cancels as well.
        real = source._look

        def look() -> None:
            nonlocal both
            real()
            both += source._has_stalled
            own.cancel()

        source._look = look  # type: ignore[method-assign]
        async with source:
            await source.read()

    task = asyncio.create_task(reading())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert both == 1
    assert source.ended is None


async def test_a_task_is_not_cancelled_any_more_after_a_body_has_stalled() -> None:
    own = asyncio.current_task()
    assert own is not None
    with anyio.CancelScope() as scope:
        assert await poured(AsgiSource(bringing([], then="hang"), 10, 0.01), 10) == (
            b"",
            Ended.STALLED,
        )
        await anyio.sleep(0.01)
    assert not own.cancelling()
    assert not scope.cancelled_caught


async def test_only_bytes_that_came_count_as_held_and_not_for_longer_than_the_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "HELD_BY_ALL", 100)
    with ExitStack() as stack:
        hanging = []
        for _ in range(20):
            body = stack.enter_context(
                closing(SourceBody(AsgiSource(bringing([b"abc"], "hang"), 90, 30)))
            )
            hanging.append(asyncio.create_task(body.gather(100)))
        await asyncio.sleep(0.01)
        assert Held._by_all == 60
        other = stack.enter_context(closing(SourceBody(AsgiSource(bringing([b"x" * 90]), 90, 30))))
        assert await gathered(other) == b"x" * 90  # 1,800 bytes are announced
        assert Held._by_all == 150
        late = stack.enter_context(closing(SourceBody(AsgiSource(bringing([b"y" * 90]), 90, 30))))
        assert await late.gather(100) is None
        got = bytearray()
        assert await late.pour(got.extend, 90) is Ended.WHOLE
        assert await other.pour(got.extend, 90) is Ended.WHOLE
        assert got == b"y" * 90 + b"x" * 90
        assert Held._by_all == 60
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    assert Held._by_all == 0


async def test_a_body_that_is_gathered_stays_to_be_poured() -> None:
    got = bytearray()
    with closing(SourceBody(AsgiSource(bringing([b"ab", b"c"]), 3, 30))) as body:
        assert await body.gather(2) is None
        assert await gathered(body, 3) == b"abc"
        assert await gathered(body, 3) == b"abc"
        assert await body.pour(got.extend, 3) is Ended.WHOLE
    assert got == b"abc"
    with closing(SourceBody(AsgiSource(bringing([b"ab"], "gone"), 3, 30))) as body:
        assert await body.gather(3) is None
        assert await body.pour(got.extend, 3) is Ended.CUT
    assert got == b"abcab"


async def test_a_cancelled_pour_returns_only_after_the_last_write() -> None:
    in_sink, finish = threading.Event(), threading.Event()
    wrote = False

    def sink(_: memoryview) -> None:
        nonlocal wrote
        in_sink.set()
        finish.wait(60)
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
                with closing(SourceBody(source)) as body:
                    await body.pour(sink, 10)
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
                with closing(SourceBody(file, await file.form())) as body:
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
        got = bytearray()
        with closing(SourceBody(file, await file.form())) as body:
            assert body.remaining == 3
            with pytest.raises(BadRequest, match="fields after the file"):
                await body.pour(lambda piece: got.extend(piece), 3)
    assert got == b""
