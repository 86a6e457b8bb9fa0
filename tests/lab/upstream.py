"""The application behind the proxies: Wherry's router in FastAPI, on stock uvicorn.

It also serves the browser client with an empty page, and allows pages of other origins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bench.processes import Running, answers, free_port, running
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, Response

from wherry.protocols import probe
from wherry.router import chunked_upload_router

ROOT = Path(__file__).parents[2]
DATA = "WHERRY_LABORATORY_DATA"
CLIENT = "chunkedUploadApi.js"
PAGE = f"""\
<!doctype html>
<input type="file" id="file">
<script type="module">
import * as client from "./{CLIENT}";
window.client = client;
</script>
"""


async def owner() -> str:
    return "laboratory"


def make_app() -> FastAPI:
    probe.AT_ONCE = 100  # for several doctors, each of which holds four probes at once
    app = FastAPI()
    star = ["*"]
    app.add_middleware(CORSMiddleware, allow_origins=star, allow_methods=star, allow_headers=star)
    router = chunked_upload_router(owner=owner, data=Path(os.environ[DATA]), assessment=False)
    app.include_router(router, prefix="/api")

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get(f"/{CLIENT}")
    async def client() -> Response:
        script = (files("wherry") / "static" / CLIENT).read_bytes()
        return Response(script, media_type="text/javascript")

    return app


@dataclass(frozen=True)
class Upstream:
    port: int
    data: Path

    def find(self, upload_id: str) -> Path | None:
        """The finished file of an upload."""
        return next(iter((self.data / "files").glob(f"{upload_id}*")), None)


@contextmanager
def upstream(folder: Path) -> Iterator[Upstream]:
    """Start it, with its data and log in a new folder. Raises `NotStarted`."""
    folder.mkdir()
    port, data = free_port(), folder / "data"
    command = [sys.executable, "-m", "uvicorn", "--factory", "--app-dir", str(ROOT)]
    command += ["--port", str(port), "--no-access-log", "tests.lab.upstream:make_app"]

    def is_ready(server: Running) -> bool:
        return answers(port, "/page") is not None

    with running(command, port, folder / "log", is_ready, {DATA: str(data)}):
        yield Upstream(port, data)
