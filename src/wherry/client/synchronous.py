"""The synchronous client: the asynchronous one, run on a thread of its own.

Rule 1: it also works inside a running event loop, and blocks it.

Rule 2: Ctrl-C ends the upload's requests before it reaches the caller. Acknowledged bytes stay on
the server, and the upload can go on later.

Rule 3: one thread and one set of connections serve all calls, because starting them costs many
times as much as sending a small file. A process that was forked starts its own.
"""

from __future__ import annotations

import os
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import httpx2
from anyio.from_thread import BlockingPortal

from wherry.client.answers import Assessment, UploadStatus
from wherry.client.asynchronous import AsyncClient, File, parse_base_url
from wherry.client.chunk_size import NetworkPath
from wherry.client.direct import DirectWay
from wherry.client.early_verdict import OnEarly
from wherry.client.progress import OnProgress, Result
from wherry.client.wire import Headers

T = TypeVar("T")


class Client:
    """`AsyncClient` without `await`: the same arguments, methods and errors.

    Its connections are kept for the next call. They are closed with `close()` or `with`, or when
    the client is not used any more. Callbacks run on another thread than the caller's. Several
    threads may use one client.
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
        verify: ssl.SSLContext | None = None,
        rate: int | None = None,
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
            path=NetworkPath() if transport else None,
            way=DirectWay(),
            verify=verify,
            rate=rate,
        )
        self._lock = threading.Lock()
        self._loop: _Loop | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def upload(
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
        """See `AsyncClient.upload`."""
        return self._run(
            lambda client: client.upload(
                file,
                filename=filename,
                metadata=metadata,
                on_progress=on_progress,
                on_early=on_early,
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

    def wait_for_upload(
        self, upload_id: str, on_look: Callable[[UploadStatus], None] | None = None
    ) -> UploadStatus:
        """See `AsyncClient.wait_for_upload`."""
        return self._run(lambda client: client.wait_for_upload(upload_id, on_look))

    def wait_for_assessment(
        self, assessment_id: str, on_change: Callable[[Assessment], None] | None = None
    ) -> Assessment:
        """See `AsyncClient.wait_for_assessment`."""
        return self._run(lambda client: client.wait_for_assessment(assessment_id, on_change))

    def get(self, path: str) -> Mapping[str, Any]:
        """See `AsyncClient.get`."""
        return self._run(lambda client: client.get(path))

    def _run(self, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
        loop = self._loop_of_this_process()
        if not loop.is_here:
            return loop.run(work)
        # A callback calls the client. The loop waits for the callback, so it takes another one.
        another = _Loop(self._open)
        try:
            return another.run(work)
        finally:
            another.stop()

    def _loop_of_this_process(self) -> _Loop:
        with self._lock:
            if self._loop is None or not self._loop.is_of_this_process:
                self._loop = _Loop(self._open)
                weakref.finalize(self, self._loop.stop)
            return self._loop


class _Loop:
    """An `AsyncClient` and its event loop, on a thread that does not keep the process alive."""

    def __init__(self, open_client: Callable[[], AsyncClient]) -> None:
        self._process = os.getpid()
        self._portal: Future[tuple[BlockingPortal, AsyncClient]] = Future()
        serve = partial(anyio.run, self._serve, open_client)
        self._thread = threading.Thread(target=serve, name="wherry-client", daemon=True)
        self._thread.start()
        self._portal.result()  # raises what the client's constructor raises

    async def _serve(self, open_client: Callable[[], AsyncClient]) -> None:
        try:
            opened = open_client()
        except BaseException as error:
            self._portal.set_exception(error)
            return
        async with opened as client, BlockingPortal() as portal:
            self._portal.set_result((portal, client))
            await portal.sleep_until_stopped()

    @property
    def is_here(self) -> bool:
        """Whether this is its own thread."""
        return threading.current_thread() is self._thread

    @property
    def is_of_this_process(self) -> bool:
        return self._process == os.getpid()

    def run(self, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
        portal, client = self._portal.result()
        ended = threading.Event()

        async def task() -> T:
            try:
                return await work(client)
            finally:
                ended.set()

        future = portal.start_task_soon(task)
        try:
            return future.result()
        except BaseException:
            if future.cancel():  # a Ctrl-C in this thread
                ended.wait()
            raise

    def stop(self) -> None:
        """End what runs, and close the connections."""
        if not self.is_of_this_process or not self._thread.is_alive():
            return
        portal, _ = self._portal.result()
        with suppress(RuntimeError):  # it is being stopped
            portal.start_task_soon(portal.stop, True)
        if not self.is_here:
            self._thread.join()
