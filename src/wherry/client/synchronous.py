"""The synchronous client: the asynchronous one, run in a thread of its own.

Rule 1: it also works inside a running event loop, and blocks it.

Rule 2: Ctrl-C ends the upload's requests before it reaches the caller. Acknowledged bytes stay on
the server, and the upload can go on later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import httpx2
from anyio.from_thread import start_blocking_portal

from wherry.client.answers import Assessment, UploadStatus
from wherry.client.asynchronous import AsyncClient, File, parse_base_url
from wherry.client.chunk_size import ChunkSize
from wherry.client.progress import OnProgress, Result
from wherry.client.wire import Headers
from wherry.core.limits import MiB

T = TypeVar("T")


class Client:
    """`AsyncClient` without `await`: the same arguments, methods and errors.

    Each call opens its connections and closes them again, so there is nothing to close.
    Callbacks run on another thread than the caller's.
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
    ) -> None:
        parse_base_url(base_url)
        self._open = partial(
            AsyncClient,
            base_url,
            headers=headers,
            key=key,
            concurrency=concurrency,
            chunk_size=chunk_size,
            transport=transport,
            idle_timeout=idle_timeout,
            patience=patience,
            size=ChunkSize(chunk_size or 5 * MiB),
        )

    def upload(
        self,
        file: File,
        *,
        filename: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
        smart: bool = True,
        again: bool = True,
    ) -> Result:
        """See `AsyncClient.upload`."""
        return self._run(
            lambda client: client.upload(
                file,
                filename=filename,
                metadata=metadata,
                on_progress=on_progress,
                smart=smart,
                again=again,
            )
        )

    def status(self, upload_id: str) -> UploadStatus:
        """See `AsyncClient.status`."""
        return self._run(lambda client: client.status(upload_id))

    def cancel(self, upload_id: str) -> None:
        """See `AsyncClient.cancel`."""
        self._run(lambda client: client.cancel(upload_id))

    def assessment(self, assessment_id: str) -> Assessment:
        """See `AsyncClient.assessment`."""
        return self._run(lambda client: client.assessment(assessment_id))

    def wait_for_assessment(
        self, assessment_id: str, on_change: Callable[[Assessment], None] | None = None
    ) -> Assessment:
        """See `AsyncClient.wait_for_assessment`."""
        return self._run(lambda client: client.wait_for_assessment(assessment_id, on_change))

    def _run(self, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
        with start_blocking_portal() as portal:
            # A Ctrl-C here leaves the block by an exception, which cancels what runs.
            return portal.start_task_soon(partial(self._with_client, work)).result()

    async def _with_client(self, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
        async with self._open() as client:
            return await work(client)
