"""The asynchronous client: one server, any number of uploads."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, BinaryIO, Self

import anyio
import httpx2
from anyio import to_thread

from wherry import __version__
from wherry.client.answers import Assessment, UploadStatus
from wherry.client.chunk_size import ChunkSize, NetworkPath
from wherry.client.direct import DirectWay
from wherry.client.early import Transport
from wherry.client.early_verdict import OnEarly
from wherry.client.errors import WorkerFails
from wherry.client.paths import path_to
from wherry.client.progress import OnProgress, ProgressReporter, Result
from wherry.client.proxies import EnvironmentProxy, proxy_for
from wherry.client.rate import Rate
from wherry.client.retrying import Retrying
from wherry.client.run import Options, Run
from wherry.client.source import Source
from wherry.client.wire import Headers, Login, Wire
from wherry.core.limits import MiB

File = str | os.PathLike[str] | BinaryIO

#: How long connecting may take, in seconds.
CONNECT_TIMEOUT = 10.0
#: Servers close idle connections after 5 s or more. The client closes them earlier (seconds).
KEEP_ALIVE = 3.0
#: How many small files are sent at once.
AT_ONCE = 4
#: Seconds between two requests for an assessment.
POLL_INTERVAL = 0.5


class AsyncClient:
    """Uploads to the server at `base_url`, the address before `/chunked-upload`.

    `headers`: fields sent with every request, or a plain or async function that returns them; it
    is called again after a 401 or 403. `key` is sent as `Authorization: Bearer`. `chunk_size`
    (bytes) and `concurrency`: at most this; None: what the server offers. `idle_timeout`: a
    request is given up after this many seconds without a byte or an answer; `patience`: an upload
    is given up after this many seconds without progress. All clients of a process share what they
    learn of the largest request that gets through to an origin; with a `transport` of its own, a
    client has a `path` of its own. One client keeps whether it reaches the server's object store;
    `way` passes that on to another one. `verify`: how certificates are checked; None: by the
    authorities that are usually trusted, or those of `SSL_CERT_FILE`. `rate`: the most bytes a
    second, of all uploads together; at least 16 KiB.

    Proxies come from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), except for
    addresses of this machine.

    Raises `ValueError` for an address that is not http or https, for an address with credentials
    together with a `key`, for a proxy that cannot be used, and for too low a `rate`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Headers | None = None,
        key: str | None = None,
        concurrency: int | None = None,
        chunk_size: int | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        idle_timeout: float = 60.0,
        patience: float = 300.0,
        path: NetworkPath | None = None,
        way: DirectWay | None = None,
        verify: ssl.SSLContext | None = None,
        rate: int | None = None,
    ) -> None:
        self._base = parse_base_url(base_url)
        address = httpx2.URL(self._base)
        if address.userinfo and key:
            raise ValueError(
                "the address contains a user name or password, which would be sent in place of "
                "the key; leave one of them out"
            )
        self._via = None if transport else proxy_for(address)
        self._login = Login(headers, key)
        self._options = Options(chunk_size, concurrency, patience)
        self._path = path or (NetworkPath() if transport else None)
        self._at_once = anyio.Semaphore(AT_ONCE)
        self._direct_way = way or DirectWay()
        self._transport = transport
        self._idle_timeout = idle_timeout
        self._verify = verify
        self._rate = None if rate is None else Rate(rate)
        self._http = self._connections(self._via)
        self._store: httpx2.AsyncClient | None = None

    def _connections(self, via: EnvironmentProxy | None) -> httpx2.AsyncClient:
        limits, timeout = httpx2.Limits(keepalive_expiry=KEEP_ALIVE), self._idle_timeout
        proxy = via.proxy if via else None
        return httpx2.AsyncClient(
            transport=self._transport or Transport(limits=limits, proxy=proxy, verify=self._verify),
            timeout=httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
            headers={"user-agent": f"wherry/{__version__}", "accept": "application/json"},
        )

    def _store_at(self, url: str) -> httpx2.AsyncClient:
        """The connections to the object store. Raises `ValueError` for an unusable proxy."""
        if self._store is None:
            self._store = self._connections(proxy_for(httpx2.URL(url)))
        return self._store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Unfinished uploads stay on the server and can go on later."""
        await self._http.aclose()
        if self._store is not None:
            await self._store.aclose()

    async def upload(
        self,
        file: File,
        *,
        filename: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
        on_early: OnEarly | None = None,
        smart: bool = True,
        again: bool = True,
    ) -> Result:
        """Send a file. An interrupted upload of the same file goes on.

        `smart`: a file of a size that passes, or is small enough to try (512 KiB at first), goes
        in one request, and in chunks only if that request is refused for its size, or there is no
        room. Call this for many files at once: of such small ones, the client sends four at a
        time. `again` False: if the same caller has a complete upload of this file, it is not sent
        again, and the result says `was_there`. After a cancellation an upload in chunks can go on
        later.

        `on_early` gets the `EarlyVerdict` on a video as soon as its beginning and its end show
        one, if the server gives any. It returns True to stop the upload.

        Raises `ClientError`, which is `StoppedEarly` if `on_early` has stopped it; `OSError` for a
        file that cannot be read, `TypeError` or `ValueError` for a file object that is not binary
        or cannot seek.
        """
        path = self._path or path_to(httpx2.URL(self._base))
        size = ChunkSize(path, self._options.chunk_size or 5 * MiB)
        is_small = size.takes_whole if smart else _never
        source = None
        try:
            async with self._at_once:
                source = await to_thread.run_sync(Source, file, filename, is_small)
                reporter = ProgressReporter(source.size, on_progress)
                wire, options = self._wire(path), self._options
                run = Run(
                    wire,
                    source,
                    size,
                    reporter,
                    options=options,
                    way=self._direct_way,
                    metadata=metadata,
                    on_early=on_early,
                )
                if source.whole is not None:
                    result = None if again else await run.from_before()
                    if result := result or await run.in_one_request(source.whole):
                        return result
            if source.whole is None and not again and (result := await run.from_before()):
                return result
            source.whole = None
            return await run.in_chunks()
        finally:
            if source is not None:
                source.close()

    async def status(self, upload_id: str) -> UploadStatus:
        """The upload as the server sees it. Raises `ClientError`."""
        return await self._wire().status(upload_id)

    async def cancel(self, upload_id: str) -> None:
        """Cancel an upload. On return its bytes are deleted. Raises `ClientError`."""
        await self._wire().cancel(upload_id)

    async def assessment(self, assessment_id: str) -> Assessment:
        """The assessment in its current state.

        Raises `ClientError`; `NotAssessed` if the application processes uploads itself.
        """
        return await self._wire().assessment(assessment_id)

    async def wait_for_upload(
        self, upload_id: str, on_look: Callable[[UploadStatus], None] | None = None
    ) -> UploadStatus:
        """Wait until an upload that somebody else sends is complete, or has ended otherwise.

        `on_look` is called about twice a second. Waits as long as it takes; the server may be away
        for `patience` seconds. Raises `ClientError`.
        """
        retrying = Retrying(self._options.patience, lambda error, pause: None)
        wire = self._wire()
        while True:
            found = await retrying.ask("status", wire.status, upload_id)
            if on_look is not None:
                on_look(found)
            if found.is_over:
                return found
            await anyio.sleep(POLL_INTERVAL)

    async def wait_for_assessment(
        self, assessment_id: str, on_change: Callable[[Assessment], None] | None = None
    ) -> Assessment:
        """Wait until the assessment is done or failed. `on_change` is called at each change.

        Waits as long as it takes; the server may be away for `patience` seconds.
        Raises `ClientError`; `NotAssessed` if the application processes uploads itself,
        `WorkerFails` as soon as the server reports that it has no working worker.
        """
        retrying = Retrying(self._options.patience, lambda error, pause: None)
        wire, before = self._wire(), None
        while True:
            assessment = await retrying.ask("status", wire.assessment, assessment_id)
            if assessment != before and on_change is not None:
                on_change(assessment)
            if assessment.is_finished:
                return assessment
            if assessment.worker_problem is not None:
                raise WorkerFails(
                    f"Nothing is assessed at the moment. {assessment.worker_problem}",
                    "The upload is complete and safe. It is assessed as soon as a worker runs: "
                    f"ask again for the assessment {assessment.assessment_id}.",
                )
            before = assessment
            await anyio.sleep(POLL_INTERVAL)

    async def get(self, path: str) -> Mapping[str, Any]:
        """The object that the API answers to GET, for what this client has no method.

        `path`: behind `/chunked-upload`, with a slash before it. Raises `ClientError`.
        """
        return await self._wire().get(f"/chunked-upload{path}")

    def _wire(self, path: NetworkPath | None = None) -> Wire:
        via = str(self._via) if self._via else None
        return Wire(self._http, self._base, self._login, via, self._store_at, path, self._rate)


def _never(size: int) -> bool:
    return False


def parse_base_url(text: str) -> str:
    """The address without a slash at its end. Raises `ValueError`."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ValueError(f"{text!r} is not an address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ValueError(
            f"{text!r} is not a plain http or https address; write it like https://example.org/api"
        )
    return text.rstrip("/")
