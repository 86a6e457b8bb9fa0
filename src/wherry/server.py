"""The standalone server: the router, API keys, health."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import socket
import time
from contextlib import suppress

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from wherry import __version__
from wherry.app import App, log_to_stderr
from wherry.app.backends import store_origin
from wherry.app.checking import check_storage
from wherry.auth import Access, Keys, KeysProblem, is_loopback, keys_file
from wherry.connection import IDLE_SECONDS, BoundedConnection, allow_files
from wherry.core.errors import NotThere
from wherry.core.limits import MiB
from wherry.core.requests import Caller
from wherry.engine.stopping import CANCEL_BEFORE
from wherry.events import Event, log_event
from wherry.listening import listening, resolve, url_of
from wherry.processes import run_processes
from wherry.protocols import watching
from wherry.protocols.cors import cors_options
from wherry.protocols.direct import Direct
from wherry.protocols.draining import Drained
from wherry.protocols.guests import has_ticket
from wherry.protocols.load import Load
from wherry.protocols.route import Around, route_class
from wherry.router import (
    Who,
    add_not_found,
    addresses,
    build_router,
    guest,
    page_router,
    routes_of,
    short_router,
    tus_router,
)
from wherry.settings import Settings

log = logging.getLogger("wherry")

#: What the API's addresses begin with.
PREFIX = "/api"
#: Where tus clients begin.
TUS_PREFIX = "/files"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
#: How often a server that is stopping checks whether its requests have ended, in seconds.
POLL_INTERVAL = 0.05

LOOPBACK_WARNING = (
    "anonymous access: without keys, every user of this machine may upload, and may list "
    "all uploads. Do not put a public proxy in front of this server: to the server, every request "
    "from the proxy comes from this machine. To serve other machines, add a key first: "
    "wherry keys add NAME"
)


class NoKeys(Exception):
    """The server would refuse every request, because there is no usable API key."""


def create_app(settings: Settings, host: str) -> FastAPI:
    """The server that listens on `host`. Raises `NoKeys` as `check_keys` does."""
    app = App(settings)
    if settings.assessment is None and not app.settings.assessment:
        log.info("finished files are not assessed: pip install 'wherry[assessment]' adds that")
    keys = Keys(keys_file(settings.data))
    access = Access(keys, is_loopback(host), app.metrics)
    if not access.is_anonymous():
        check_keys(keys, settings)

    # Coroutines, because FastAPI calls other functions on a thread.

    async def caller(request: Request) -> Caller:
        if not has_ticket(request.scope):
            return access.caller(request)
        found = await guest(app, request)
        access.check_owner(found.owner)
        return found

    async def operator(request: Request) -> Caller:
        found = await caller(request)
        if not found.operator:
            raise NotThere
        return found

    api = FastAPI(title="Wherry", version=__version__, docs_url=None, redoc_url=None)
    uploads = build_router(app, caller, operator)
    api.include_router(uploads, prefix=PREFIX)
    api.include_router(tus_router(uploads), prefix=TUS_PREFIX)
    api.include_router(short_router(app, caller), prefix=PREFIX)
    api.include_router(
        page_router(
            asks_for_key=True,
            store=store_origin(settings),
            keeps_files=settings.page_keeps_files,
            fields=settings.page_fields,
        )
    )
    api.include_router(watched(app, operator, access))
    rest = APIRouter(route_class=routes_of(app))
    add_not_found(rest, api.router.routes)
    api.include_router(rest)
    api.add_middleware(Drained)
    api.add_middleware(Direct, addresses=addresses(app, caller, operator, PREFIX, TUS_PREFIX))
    if settings.cors_origins:
        api.add_middleware(CORSMiddleware, **cors_options(settings.cors_origins))
    return api


def check_keys(keys: Keys, settings: Settings) -> None:
    """Raises `NoKeys` if there is no key, or if the keys cannot be read."""
    try:
        known = keys.all() if keys.has_file() else []
    except KeysProblem as problem:
        raise NoKeys(
            f"the API keys cannot be read, so every request would be refused: {problem}. "
            "Repair the file, or delete it and add new keys: wherry keys add NAME"
        ) from problem
    if not known:
        raise NoKeys(
            "there are no API keys. Without keys, Wherry serves this machine only, on a loopback "
            f"address. Add a key: wherry keys add NAME --data {settings.data}"
        )


def watched(app: App, operator: Who, access: Access) -> APIRouter:
    """The routes of monitoring: `/healthz`, `/readyz`, and `/metrics` for operators only."""
    around = Around(app.metrics, Load(None), is_monitoring=True)
    router = APIRouter(route_class=route_class(around), include_in_schema=False)

    @router.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz() -> Response:
        await app.engine()
        return JSONResponse({"status": "ok", "version": __version__})

    @router.api_route("/readyz", methods=["GET", "HEAD"])
    async def readyz() -> Response:
        problem = access.problem()
        return await watching.ready(await app.engine(), () if problem is None else (problem,))

    @router.api_route("/metrics", methods=["GET", "HEAD"])
    async def metrics(request: Request, caller: Caller = Depends(operator)) -> Response:  # noqa: B008
        return await watching.metrics(request, caller, await app.engine())

    return router


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `NoKeys` and `OSError` before anything starts."""
    share_heap()
    if settings.storage is not None:
        return_parts()
    log_to_stderr(settings)
    os.umask(0o077)  # other users of this machine must not read uploads
    addresses = resolve(host, port)
    reached = [a for a in addresses if not is_loopback(a.address)]
    api = create_app(settings, (reached or addresses)[0].address)
    count = settings.processes
    with listening(addresses, count) as listeners:
        check_storage(settings)
        log_event(Event.SERVING, data=settings.data.absolute())
        for listener in listeners[::count]:
            log_event(Event.LISTENING, url=url_of(listener))
        if not Keys(keys_file(settings.data)).has_file():  # otherwise, there are keys
            log.warning(LOOPBACK_WARNING)
        keep_loaded()
        if count == 1:
            run(api, listeners, settings)
        else:
            with suppress(KeyboardInterrupt):
                run_processes(count, lambda number: run(api, listeners[number::count], settings))


def share_heap() -> None:
    """Have all threads that start from now on allocate from one heap.

    glibc gives each of the first threads a heap of its own, and what is freed in one is of no use
    to the others. They seldom allocate at the same time, because of Python's interpreter lock.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def keep_loaded() -> None:
    """Keep what is loaded by now out of garbage collection.

    A full collection, which would come among the first requests, would look through all of it, and
    stop every thread for about 100 ms. This frees unused objects first, because garbage that is
    frozen stays, too.
    """
    gc.collect()
    gc.freeze()


class Server(uvicorn.Server):
    """Uvicorn's server, which still accepts connections while open requests come to their end.

    `should_exit` is true from SIGTERM on, so new requests are answered 503 (`protocols/route.py`)
    and `/readyz` reports that the server is stopping. A closed port would tell a load balancer
    the same, but a request that is on its way at that moment would be lost with its connection.
    """

    def __init__(self, config: uvicorn.Config, grace_period: float, stop_delay: float) -> None:
        super().__init__(config)
        self._grace_period = grace_period
        self._stop_delay = stop_delay

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begun, open_at_stop = time.monotonic(), set(self.server_state.tasks)
        longest = max(self._grace_period - 2 * CANCEL_BEFORE, self._grace_period / 2)
        while not self.force_exit and (passed := time.monotonic() - begun) < longest:
            if passed >= self._stop_delay and not open_at_stop & self.server_state.tasks:
                break
            await asyncio.sleep(POLL_INTERVAL)
        left = self._grace_period - CANCEL_BEFORE - (time.monotonic() - begun)
        self.config.timeout_graceful_shutdown = max(left, POLL_INTERVAL)  # type: ignore[assignment]
        await super().shutdown(sockets)


def return_parts() -> None:
    """Have the memory of each part of an upload returned as soon as the part is sent.

    glibc learns from the first part that is freed to keep blocks of that size in its heap, where
    smaller ones come to lie between them.
    """
    with suppress(AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * MiB)
        libc.mallopt(_M_TRIM_THRESHOLD, 8 * MiB)


def run(api: FastAPI, listeners: list[socket.socket], settings: Settings) -> None:
    """Run the server to its end. Raises `RuntimeError` if it does not start; the log says why."""
    BoundedConnection.most_connections = allow_files(settings.max_requests)
    server = Server(configuration(api), settings.grace_period, settings.stop_delay or 0)
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=listeners)
    except SystemExit as failed:  # with an exit code that is uvicorn's own
        raise RuntimeError("the server did not start; the log says why") from failed


def configuration(api: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        log_config=None,
        access_log=False,
        timeout_keep_alive=IDLE_SECONDS,
        server_header=False,
        proxy_headers=False,  # anonymous access depends on the peer, which no header may name
        http=BoundedConnection,
        ws="none",
    )
