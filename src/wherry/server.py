"""The standalone server: the router, API keys, health."""

from __future__ import annotations

import logging

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from wherry import __version__
from wherry.app import App, log_to_stderr
from wherry.auth import Keys, anonymous, by_key, is_loopback, keys_file
from wherry.core.errors import NotThere
from wherry.core.requests import Caller
from wherry.router import build_router
from wherry.settings import Settings

log = logging.getLogger("wherry")

#: How long open requests may go on after SIGTERM, in seconds.
GRACE = 3

LOOPBACK_WARNING = (
    "anonymous access: everybody on this machine may upload, and is the operator too. "
    "Put no proxy in front that the world can reach: to this server every request through it "
    "comes from this machine. For others, add a key (wherry keys add NAME) and use it."
)


class NoKeys(Exception):
    """The server would be open to the network without a key."""


def create_app(settings: Settings, host: str) -> FastAPI:
    """The server for this address. Raises `NoKeys` for one that others reach."""
    keys = Keys(keys_file(settings.data))
    if keys.all():
        caller = by_key(keys)
    elif is_loopback(host):
        log.warning(LOOPBACK_WARNING)
        caller = anonymous
    else:
        raise NoKeys(
            f"{host} is not a loopback address, and there are no API keys. "
            f"Add one: wherry keys add NAME --data {settings.data}"
        )

    def operator(request: Request) -> Caller:
        found = caller(request)
        if not found.operator:
            raise NotThere
        return found

    app = App(settings)
    api = FastAPI(title="Wherry", version=__version__, docs_url=None, redoc_url=None)
    api.include_router(build_router(app, caller, operator), prefix="/api")

    @api.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        await app.engine()
        return JSONResponse({"status": "ok", "version": __version__})

    return api


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `NoKeys`."""
    log_to_stderr()
    uvicorn.run(
        create_app(settings, host),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )
