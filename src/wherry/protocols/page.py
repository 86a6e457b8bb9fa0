"""The upload page: files that were built beforehand, the same for every request.

    app.include_router(page_router(api="/api/"), prefix="/uploads")

Rule 1: the page is public and has no data in it. It gets everything from the API, with the
credentials of the user.

Rule 2: addresses in it are relative, so it works below any path and behind any proxy.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import NotThere
from wherry.protocols.route import UploadRoute

DOCUMENT = "page.html"

#: No script or style but the page's own. A picture or film may be one that was fetched or chosen.
POLICY = (
    "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

#: What a player's requests go through. It lies beside the scripts, below the page.
WORKER = "mediaWorker-"

KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}

#: A name with the hash of its content in it, so other content has another name.
_HASHED = re.compile(r".+-[A-Za-z0-9_-]{8}\.[a-z0-9]+")
FOR_EVER, ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is answered."""

    body: bytes
    zipped: bytes
    headers: dict[str, str]

    def answer(self, request: Request) -> Response:
        if self.headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self.headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, headers=self.headers | {"Content-Encoding": "gzip"})
        return Response(self.body, headers=self.headers)


def page_router(
    api: str = "api/",
    *,
    asks_for_key: bool = False,
    store: str | None = None,
    keeps_files: bool = True,
    fields: Sequence[str] = (),
) -> APIRouter:
    """The page at `/` of this router, and its scripts beside it.

    `api`: the address before `/chunked-upload`, relative to the page or from the root, with a
    slash at its end. `asks_for_key`: whether the page asks for one of Wherry's keys when the API
    refuses a request; a host application has its own login. `store`: the origin of the object
    store, like `https://bucket.s3.amazonaws.com`, if the page may send parts there
    (`direct_uploads`). `keeps_files`: whether the browser may keep files until their uploads are
    over, so that they continue after a reload. `fields`: the names of the metadata that the page
    asks for before it uploads a file.
    """
    built = dict(_built())
    values = {
        "wherry-api": api,
        "wherry-login": "key" if asks_for_key else "host",
        "wherry-keep": "files" if keeps_files else "nothing",
        "wherry-fields": json.dumps(list(fields)),
    }
    document = _render(built.pop(DOCUMENT), values)
    policy = POLICY if store is None else f"{POLICY}; connect-src 'self' {store}"
    pages = {name: _page(name, body, policy) for name, body in built.items()}
    pages[""] = _page(DOCUMENT, document, policy)

    async def page(request: Request) -> Response:
        try:
            found = pages[request.path_params.get("name", "")]
        except KeyError:
            raise NotThere from None
        return found.answer(request)

    router = APIRouter(route_class=UploadRoute, include_in_schema=False)
    for path in ("/", "/assets/{name}"):
        router.add_api_route(path, page, methods=["GET", "HEAD"], response_class=Response)
    return router


def _built() -> Iterator[tuple[str, bytes]]:
    folder: Traversable = files("wherry") / "static" / "page"
    yield DOCUMENT, (folder / DOCUMENT).read_bytes()
    for file in (folder / "assets").iterdir():
        yield file.name, file.read_bytes()


def _render(document: bytes, values: dict[str, str]) -> bytes:
    """The document with what it has to know of this server."""
    text = document.decode()
    for name, value in values.items():
        [line] = re.findall(f'<meta name="{name}"[^>]*>', text)
        text = text.replace(line, f'<meta name="{name}" content="{html.escape(value)}" />')
    return text.encode()


def _page(name: str, body: bytes, policy: str) -> Page:
    headers = HEADERS | {
        "Content-Security-Policy": policy,
        "Content-Type": KINDS[name.rpartition(".")[2]],
        "Cache-Control": FOR_EVER if _HASHED.fullmatch(name) else ASK_AGAIN,
        "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Vary": "Accept-Encoding",
    }
    if name.startswith(WORKER):
        headers |= {"Service-Worker-Allowed": "../"}  # the page itself, wherever it is
    return Page(body, gzip.compress(body, mtime=0), headers)
