"""An upstream that remembers what it heard, and answers as the target asks it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest


@dataclass
class Heard:
    """One request as the upstream saw it; `is_whole` or `is_cut` once its body has ended."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    is_whole: bool = False
    is_cut: bool = False


@dataclass
class Upstream:
    """`/early` answers 401 before the body, `/stream` in two pieces.

    `/dead` closes without an answer, `/wait` waits until the client has gone.
    """

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Upstream]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def until(self, is_so: str) -> None:
        """Wait until the expression over `heard` is true."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: eval(is_so, {"heard": self.heard}))

    async def _note(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            await self._answer(http, reader, writer)
        except ConnectionError:
            pass  # The client does not want the answer.
        finally:
            writer.close()

    async def _answer(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        heard: Heard | None = None
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError:
                if heard:
                    heard.is_cut = True
                    await self._note()
                return
            if event is h11.NEED_DATA:
                try:
                    http.receive_data(await reader.read(1 << 16))
                except ConnectionError:
                    http.receive_data(b"")
            elif isinstance(event, h11.Request):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                heard = Heard(event.method.decode(), event.target.decode(), headers)
                self.heard.append(heard)
                await self._note()
                if heard.target == "/early":
                    break
            elif isinstance(event, h11.Data) and heard:
                heard.body += bytes(event.data)
                await self._note()
            else:
                break
        if heard is None or isinstance(event, h11.ConnectionClosed):
            return
        if isinstance(event, h11.EndOfMessage):
            heard.is_whole = True
            await self._note()
        if heard.target == "/wait":
            heard.is_cut = not await reader.read(1)
            await self._note()
            return
        await self._send(http, writer, heard)

    async def _send(self, http: h11.Connection, writer: asyncio.StreamWriter, heard: Heard) -> None:
        if heard.target == "/dead":
            return
        status = 401 if heard.target == "/early" else 200
        headers = [("x-count", str(len(self.heard)))]
        text = f"{len(heard.body)} bytes".encode()
        if heard.target != "/stream":
            headers.append(("content-length", str(len(text))))
        writer.write(http.send(h11.Response(status_code=status, headers=headers)) or b"")
        if heard.target == "/stream":
            writer.write(http.send(h11.Data(data=b"first ")) or b"")
            await writer.drain()
            await self.go_on.wait()
        if heard.method != "HEAD":
            writer.write(http.send(h11.Data(data=text)) or b"")
        writer.write(http.send(h11.EndOfMessage()) or b"")
        await writer.drain()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().running() as running:
        yield running
