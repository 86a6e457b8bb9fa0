"""The requests of the chunked API, over httpx2: no retries, no decisions.

Rule 1: every failure is a `ClientError` (`exchange` sees to that).

Rule 2: after a 401 or 403 the function `headers` is called again and the request is sent
again, once. What was acknowledged before stays valid.
"""

from __future__ import annotations

import base64
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio
import httpx2

from wherry.client.answers import (
    Answer,
    Assessment,
    UploadStatus,
    parse_assessment,
    parse_error,
    parse_missing,
    parse_object,
    parse_upload,
    parse_uploads,
)
from wherry.client.chunk_size import PIECE, NetworkPath
from wherry.client.decisions import wants_fresh_headers
from wherry.client.direct import PartAddress, parse_addresses
from wherry.client.errors import (
    ConnectionLost,
    NotAssessed,
    NotConnected,
    NotFound,
    UnexpectedAnswer,
)
from wherry.client.exchange import Sent, exchange
from wherry.client.rate import Rate
from wherry.core.digests import Digest
from wherry.core.ranges import Range

#: Header fields, or a function that returns them: plain (called on a thread) or async.
Headers = Mapping[str, str] | Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]

#: A trial waits for an early answer after its first piece: two round trips, within these (seconds).
LEAST_PAUSE, LONGEST_PAUSE = 0.02, 0.5

#: Where a whole file is sent to.
WHOLE = "/chunked-upload/upload"


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file that is sent in one request."""

    name: str
    content_type: str | None
    fingerprint: str
    metadata: Mapping[str, str]
    data: bytes
    digest: Digest


class Login:
    """The headers that all requests of a client share."""

    def __init__(self, headers: Headers | None, key: str | None) -> None:
        self._headers = headers
        self._own = {"authorization": f"Bearer {key}"} if key else {}
        self._lock = anyio.Lock()
        self._known: Mapping[str, str] | None = None
        self.version = 0  #: Grows with each refresh.

    async def headers(self) -> Mapping[str, str]:
        async with self._lock:
            if self._known is None:
                self._known = {**self._own, **await self._ask()}
            return self._known

    async def refresh(self, version: int) -> bool:
        """Call `headers` again, unless another request has since `version`.

        Returns False if the headers are fixed.
        """
        if not callable(self._headers):
            return False
        async with self._lock:
            if self.version == version:
                self._known = {**self._own, **await self._ask()}
                self.version += 1
        return True

    async def _ask(self) -> Mapping[str, str]:
        if not callable(self._headers):
            return self._headers or {}
        found = await anyio.to_thread.run_sync(self._headers)
        return await found if inspect.isawaitable(found) else found


class Wire:
    """The requests of one upload. `base` is the address before `/chunked-upload`.

    `via`: the proxy in between, for messages. `store`: the connections to the object store at this
    address; without it, no part goes there. `path`: what is known of the path to the server.
    `rate`: the limit for all that is sent.
    """

    def __init__(  # noqa: PLR0917 - what a request needs
        self,
        http: httpx2.AsyncClient,
        base: str,
        login: Login,
        via: str | None = None,
        store: Callable[[str], httpx2.AsyncClient] | None = None,
        path: NetworkPath | None = None,
        rate: Rate | None = None,
    ) -> None:
        self.path = path or NetworkPath()
        self._rate = rate
        self._round_trip = LONGEST_PAUSE / 2  # seconds, of the fastest small request
        self._http = http
        self._via = via
        self._store = store
        self._base = base
        self._login = login
        self.requests = 0  #: How many were made.
        self._was_refused = False  # the last request

    async def init(self, facts: Mapping[str, Any]) -> UploadStatus:
        given = {name: value for name, value in facts.items() if value is not None}
        report = self.path.report
        asked = given | (report or {})
        opened = parse_upload(await self._json("POST", "/chunked-upload/init", asked))
        self._note_reported(report)
        return opened

    async def chunk(
        self, upload_id: str, offset: int, data: bytes, digest: Digest, sent: Sent
    ) -> tuple[Range, ...]:
        """Returns the ranges that the server still misses."""
        report = self.path.report
        query = httpx2.QueryParams({"upload_id": upload_id, "offset": offset, **(report or {})})
        kind, body = "application/octet-stream", data
        if self.path.as_form:
            kind, body = self._form({}, "chunk", ("chunk", data, kind))
        headers = {"content-type": kind, "content-digest": str(digest)}
        path = f"/chunked-upload/chunk?{query}"
        missing = parse_missing(await self._request("POST", path, headers, body, sent))
        self._note_reported(report)
        return missing

    def _note_reported(self, report: Mapping[str, int | str] | None) -> None:
        if self.path.report is report:  # and no newer one
            self.path.report = None

    def _form(
        self, fields: Mapping[str, str], name: str, file: tuple[str, bytes, str]
    ) -> tuple[str, bytes]:
        """The content type and the body of a form with one file.

        The fields come before the file: the server streams everything after them.
        """
        form = httpx2.Request("POST", self._base, data=dict(fields), files={name: file})
        return form.headers["content-type"], form.read()

    async def addresses(self, upload_id: str, crcs: Mapping[int, int]) -> dict[int, PartAddress]:
        """Where these parts may be sent to; without those that the server has."""
        parts = [{"number": number, "crc64nvme": _base64(crc)} for number, crc in crcs.items()]
        asked = {"upload_id": upload_id, "parts": parts}
        return parse_addresses(await self._json("POST", "/chunked-upload/direct", asked))

    async def put(self, address: PartAddress, data: bytes, sent: Sent) -> Answer:
        """The store's answer to a part, whatever it is. The store gets no header of our login."""
        if self._store is None:
            raise NotConnected("This client has no connections to the object store.")
        self.requests += 1
        try:
            http = self._store(address.url)
        except ValueError as error:  # a proxy that cannot be used
            raise NotConnected(str(error)) from error
        return await exchange(
            http, address.method, address.url, address.headers, data, sent, rate=self._rate
        )

    async def report(self, upload_id: str, numbers: Sequence[int]) -> tuple[Range, ...]:
        """Tell the server which parts were sent. Returns the ranges that it still misses."""
        asked = {"upload_id": upload_id, "parts": numbers}
        return parse_missing(await self._json("POST", "/chunked-upload/direct/received", asked))

    async def complete(self, upload_id: str, digest: Digest | None) -> UploadStatus:
        asked = {"upload_id": upload_id, **({"digest": str(digest)} if digest else {})}
        return parse_upload(await self._json("POST", "/chunked-upload/complete", asked))

    async def alike(self, fingerprint: str) -> list[UploadStatus]:
        """This caller's uploads of the file with this fingerprint, newest first."""
        query = httpx2.QueryParams(fingerprint=fingerprint)
        found = parse_uploads(await self._request("GET", f"/chunked-upload/?{query}"))
        return [upload for upload in found if upload.fingerprint == fingerprint]

    async def whole(self, key: str, file: WholeFile, sent: Sent) -> UploadStatus:
        """The whole file in one request: a form, if the file has metadata or a filter wants it.

        A request that repeats the key of another gets its answer.
        """
        kind = file.content_type or "application/octet-stream"
        path = f"{WHOLE}?{httpx2.QueryParams(fingerprint=file.fingerprint)}"
        if file.metadata or self.path.as_form:
            kind, body = self._form(file.metadata, "file", (file.name, file.data, kind))
            headers = {"content-type": kind}
        else:
            name = quote(file.name, safe="", errors="replace")
            headers = {
                "content-type": kind,
                "content-disposition": f"attachment; filename*=UTF-8''{name}",
                "content-digest": str(file.digest),
            }
            body = file.data
        return parse_upload(await self._request("POST", path, headers | _keyed(key), body, sent))

    async def answer_to(self, key: str) -> UploadStatus:
        """The answer to the request with this key. The server refuses a key that it does not know.

        It does so because this request names no file.
        """
        return parse_upload(await self._request("POST", WHOLE, _keyed(key), b""))

    async def status(self, upload_id: str) -> UploadStatus:
        return parse_upload(await self._request("GET", f"/chunked-upload/{_segment(upload_id)}"))

    async def cancel(self, upload_id: str) -> None:
        await self._json("POST", "/chunked-upload/cancel", {"upload_id": upload_id})

    async def assessment(self, assessment_id: str) -> Assessment:
        path = f"/chunked-upload/assessments/{_segment(assessment_id)}"
        try:
            return parse_assessment(await self._request("GET", path))
        except NotFound as error:
            if error.code:
                raise
            raise _not_assessed(error) from error  # Wherry has no such route here

    async def get(self, path: str) -> Mapping[str, Any]:
        return parse_object(await self._request("GET", path))

    async def _json(self, method: str, path: str, value: Mapping[str, Any]) -> Answer:
        body = json.dumps(value).encode()
        return await self._request(method, path, {"content-type": "application/json"}, body)

    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        sent: Sent | None = None,
    ) -> Answer:
        for last_try in (False, True):
            login = await self._login.headers()
            version = self._login.version
            fields = {**login, **(headers or {})}
            # A proxy that refuses before it has read the body closes the connection, although
            # it promised to keep it. A failure of the next request proves nothing then.
            again = self._was_refused
            self._was_refused = False
            try:
                answer = await self._once(method, path, fields, body, sent)
            except ConnectionLost:
                if not again:
                    raise
                answer = await self._once(method, path, fields, body, sent)
            self._was_refused = answer.status >= 400
            if answer.status < 300:
                return answer
            if answer.status < 400:
                raise self._redirected(answer, path)
            error = parse_error(answer)
            if last_try or not wants_fresh_headers(error) or not await self._login.refresh(version):
                break
        raise error

    def _redirected(self, answer: Answer, path: str) -> UnexpectedAnswer:
        """Names the address to use: the redirect's target without this request's own path."""
        try:
            url = httpx2.URL(self._base + path).join(answer.headers.get("location", ""))
        except httpx2.InvalidURL:
            url = httpx2.URL(self._base)
        own = path.partition("?")[0]
        there = str(url.copy_with(query=None, fragment=None, username=None, password=None))
        if not there.rstrip("/").endswith(own.rstrip("/")):
            hint = "That is not this API: a login page, perhaps. Check the address and the key."
            return UnexpectedAnswer(f"The server redirects to {there}.", hint, status=answer.status)
        base = there.rstrip("/").removesuffix(own.rstrip("/"))
        return UnexpectedAnswer(
            f"The server redirects to another address: {base}",
            "Nothing was lost. Use that address.",
            status=answer.status,
        )

    async def _once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        sent: Sent | None,
    ) -> Answer:
        self.requests += 1
        size = len(body or b"")
        is_trial = size > max(PIECE, self.path.passed)
        pause = min(max(2 * self._round_trip, LEAST_PAUSE), LONGEST_PAUSE) if is_trial else 0.0
        began = time.monotonic()
        answer = await exchange(
            self._http, method, self._base + path, headers, body, sent, self._via, pause, self._rate
        )
        if size <= PIECE:
            self._round_trip = min(self._round_trip, time.monotonic() - began)
        return answer


def _base64(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def _not_assessed(error: NotFound) -> NotAssessed:
    return NotAssessed(
        "Wherry makes no assessments at this address.",
        "The application processes its uploads itself: ask it with the same id. "
        "Or the address is wrong: it ends where /chunked-upload begins.",
        status=error.status,
        facts=error.facts,
    )


def _keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": f'"{key}"'}


def _segment(identifier: str) -> str:
    return quote(identifier, safe="")
