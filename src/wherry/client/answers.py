"""Parses the server's answers: pure functions from an HTTP answer to a value or an error.

Rule 1: an answer that is not from Wherry (a proxy's page, a login form, a wrong address) is an
error of its own, never a value with missing parts.

Rule 2: a refusal is Wherry's only if it has Wherry's mark, the type `urn:wherry:problem:...`.
Applications and proxies send problem documents, too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from wherry.client.errors import (
    Busy,
    BytesMissing,
    ClientError,
    NoRoom,
    NoSpace,
    NotFound,
    Refused,
    ServerFailed,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UploadGone,
)
from wherry.core.assessment import Step
from wherry.core.ranges import Range


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: header fields by lower-case name; `at`: Unix seconds when it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """An upload as the server sees it. Sizes in bytes, `retry_after` in seconds.

    `position`: where it stands in the queue, if it waits; 1 is next. `min_chunk`, `concurrency`,
    `part_size` and `tail` come from `init` alone. `part_size`: of parts that may go to the object
    store directly; None where all bytes go in chunks. `tail`: how many bytes of the end come
    second, for an early verdict; None where there is none. `passes`, `refuses`: the largest request
    that passes here, and the smallest that is refused, as far as the server knows.
    """

    upload_id: str
    state: str
    filename: str | None = None
    size: int | None = None
    received_bytes: int = 0
    received: tuple[Range, ...] = ()
    position: int | None = None
    retry_after: float | None = None
    assessment_id: str | None = None
    expires_at: str | None = None
    chunk_size: int | None = None
    min_chunk: int | None = None
    concurrency: int | None = None
    part_size: int | None = None
    tail: int | None = None
    passes: int | None = None
    refuses: int | None = None
    fingerprint: str | None = None
    digest: str | None = None
    deleted_at: str | None = None
    ended_at: str | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the upload is in the queue, whatever its state is."""
        return self.state == "waiting" or (self.state == "receiving" and self.position is not None)

    @property
    def has_arrived(self) -> bool:
        """Whether the whole file has arrived. `init` would begin a second upload then."""
        return self.state in ("completing", "complete")

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it: it is complete, cancelled, expired or failed."""
        return self.state not in ("waiting", "receiving", "completing")

    def check_not_gone(self) -> None:
        """Raises `UploadGone`."""
        if self.state in ("cancelled", "expired", "failed"):
            raise UploadGone(
                f"The upload is {self.state}.",
                "Its bytes are deleted.",
                "upload-gone",
                facts={"state": self.state},
            )


@dataclass(frozen=True, slots=True)
class Assessment:
    """`state`: queued, running, done (there is a `report`) or failed (there is a `problem`).

    `worker_problem`: why no worker can do it at the moment, while it is not finished.
    """

    assessment_id: str
    upload_id: str
    state: str
    steps: tuple[Step, ...] = ()
    report: Mapping[str, Any] | None = None
    problem: str | None = None
    pictures: tuple[str, ...] = ()
    worker_problem: str | None = None

    @property
    def is_finished(self) -> bool:
        return self.state in ("done", "failed")


def parse_upload(answer: Answer) -> UploadStatus:
    """Raises `UnexpectedAnswer`."""
    return _upload_of(parse_object(answer), answer)


def parse_uploads(answer: Answer) -> list[UploadStatus]:
    """The uploads of a list. Raises `UnexpectedAnswer`."""
    listed = parse_object(answer).get("uploads")
    if not isinstance(listed, list):
        raise unexpected(answer)
    return [_upload_of(item, answer) for item in listed]


def _upload_of(data: Mapping[str, Any], answer: Answer) -> UploadStatus:
    try:
        limits = {} if data.get("limits") is None else data["limits"]
        direct = {} if data.get("direct") is None else data["direct"]
        path = {} if data.get("path") is None else data["path"]
        early = {} if data.get("early") is None else data["early"]
        return UploadStatus(
            upload_id=_text(data, "upload_id"),
            state=_text(data, "state"),
            filename=data.get("filename"),
            size=_number(data, "size"),
            received_bytes=_number(data, "received_bytes") or 0,
            received=_ranges(data["received"]) if data.get("received") is not None else (),
            position=_number(data, "position"),
            retry_after=_retry_after(answer, data),
            assessment_id=data.get("assessment_id"),
            expires_at=data.get("expires_at"),
            chunk_size=_number(data, "chunk_size"),
            min_chunk=_number(limits, "min_chunk"),
            concurrency=_number(data, "concurrency"),
            part_size=_number(direct, "part_size") or None,
            tail=_number(early, "tail") or None,
            passes=_number(path, "passes"),
            refuses=_number(path, "refuses"),
            fingerprint=data.get("fingerprint"),
            digest=data.get("digest"),
            deleted_at=data.get("deleted_at"),
            ended_at=data.get("ended_at"),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise unexpected(answer) from error


def parse_missing(answer: Answer) -> tuple[Range, ...]:
    """The first hundred gaps that the server still has, from its answer to a chunk.

    Raises `UnexpectedAnswer`.
    """
    data = parse_object(answer)
    try:
        if _number(data, "received_bytes") is None:
            raise TypeError("received_bytes")
        return _ranges(data.get("missing"))
    except (TypeError, ValueError) as error:
        raise unexpected(answer) from error


def parse_assessment(answer: Answer) -> Assessment:
    """Raises `UnexpectedAnswer`."""
    data = parse_object(answer)
    try:
        return Assessment(
            assessment_id=_text(data, "assessment_id"),
            upload_id=_text(data, "upload_id"),
            state=_text(data, "state"),
            steps=tuple(
                Step(_text(step, "name"), _text(step, "state"), step.get("seconds"))
                for step in data.get("steps") or ()
            ),
            report=data.get("report"),
            problem=data.get("problem"),
            pictures=tuple(str(name) for name in data.get("pictures") or ()),
            worker_problem=(data.get("worker") or {}).get("problem"),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise unexpected(answer) from error


#: The type of an error, by status; every other 4xx is `Refused`, every other 5xx `ServerFailed`.
_TYPES: Mapping[int, type[ClientError]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    410: NotFound,
    413: TooLarge,
    507: NoSpace,
}

#: The type of an error, by Wherry's error code.
_CODES: Mapping[str, type[ClientError]] = {
    "upload-not-found": UploadGone,
    "upload-gone": UploadGone,
    "no-room": NoRoom,
    "waiting": NoRoom,
    "disk-full": NoRoom,
    "busy": Busy,
    "bytes-missing": BytesMissing,
}

#: Statuses that may succeed later, without a problem document. Caddy answers 499 to a body that
#: takes too long; 52x are Cloudflare's.
_RETRYABLE = {408, 425, 429, 499, 500, 502, 503, 504, *range(520, 530)}

#: From a proxy, with a Retry-After, these mean that there will be room later.
_FULL = (429, 503)


def parse_error(answer: Answer) -> ClientError:
    """The error for `answer`, whose status is 300 or more."""
    facts = _problem(answer)
    status = answer.status
    if facts is None:
        return _foreign_error(answer)
    code = _text_or_empty(facts, "code")
    said = facts.get("retryable")
    retryable = said if isinstance(said, bool) else status in _RETRYABLE
    retry_after = _retry_after(answer, facts)
    return _type_of(status, code, retryable, retry_after)(
        _text_or_empty(facts, "detail")
        or _text_or_empty(facts, "title")
        or f"HTTP status {status}.",
        _text_or_empty(facts, "hint"),
        code,
        status,
        retryable,
        retry_after,
        facts,
    )


def _type_of(
    status: int, code: str, retryable: bool, retry_after: float | None
) -> type[ClientError]:
    if kind := _CODES.get(code):
        return kind
    if not code and status in _FULL and retryable and retry_after is not None:
        return NoRoom
    return _TYPES.get(status) or (Refused if status < 500 else ServerFailed)


def _foreign_error(answer: Answer) -> ClientError:
    """An error of a proxy in front of the server, or of the application around it."""
    status = answer.status
    if 300 <= status < 400:
        where = answer.headers.get("location", "another address")
        return UnexpectedAnswer(
            f"The server redirects to {where}.", "Use that address.", "unexpected-answer", status
        )
    # IIS refuses a body for its size with 404 and this number in its page.
    if status == 413 or (status == 404 and re.search(rb"\b404\.13\b", answer.body)):
        by = refused_by(answer)
        return TooLarge(
            f"The request is too large for {by or 'a proxy'} in front of the server.",
            "Upload in smaller chunks, or have this limit raised: `wherry doctor` finds out where "
            "it is, and what to change.",
            status=413,
            facts={"refused_by": by} if by else {},
        )
    retryable, retry_after = status in _RETRYABLE, _retry_after(answer, {})
    kind = _type_of(status, "", retryable, retry_after)
    detail = f"The answer is HTTP status {status}, and it is not from Wherry."
    hint = "It comes from a proxy in front of the server, or from the application itself."
    if status == 401:
        hint = "The application, or a proxy in front of it, asks for another login."
    elif status == 403:
        detail = "The application, or a proxy in front of it, refuses the request (403)."
        hint = "Use a login that is allowed to upload."
    elif status in (404, 405):
        hint = "Check the address: it ends where /chunked-upload begins, most often in /api."
    said, by = _detail_of_host(answer), refused_by(answer)
    if said and _may_be_quoted(said):
        detail = f"{detail} It says: {said}" + ("" if said[-1] in ".!?" else ".")
    return kind(
        detail,
        hint,
        status=status,
        retryable=retryable,
        retry_after=retry_after,
        facts=({"detail": said} if said else {}) | ({"refused_by": by} if by else {}),
    )


#: How the pages of nginx, and of what is made from it, name their server.
_NAME_ON_PAGE = re.compile(rb"<hr><center>([\w./-]{1,40})<", re.IGNORECASE)


def refused_by(answer: Answer) -> str:
    """The name of who answered, from the page, else from the Server header; empty if unknown.

    An outer proxy puts its own header on the page of an inner one, so the page counts first.
    """
    if page := _NAME_ON_PAGE.search(answer.body):
        return page[1].decode().lower()
    name = re.match(r"[a-z0-9._/-]{1,40}", answer.headers.get("server", "").lower())
    return name[0] if name else ""


def _detail_of_host(answer: Answer) -> str | None:
    """The reason that an application gives, in FastAPI's form: `{"detail": "..."}`."""
    found = _json(answer)
    said = found.get("detail") if isinstance(found, dict) else None
    return said if isinstance(said, str) and said else None


def _may_be_quoted(words: str) -> bool:
    """Whether a foreign text may be quoted in an error: it is short, and not about size."""
    return len(words) <= 200 and "413" not in words and "too large" not in words.lower()


def parse_retry_after(value: str, at: float) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date (seen `at` Unix seconds); else None."""
    value = value.strip()
    seconds = math.inf
    if value.isascii() and value.isdigit():
        seconds = float(value)
    elif value.endswith(" GMT"):
        try:
            seconds = max(parsedate_to_datetime(value).timestamp() - at, 0.0)
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) else None


def _retry_after(answer: Answer, facts: Mapping[str, Any]) -> float | None:
    """The body's `retry_after` comes before the header, which proxies change and browsers hide."""
    said = facts.get("retry_after")
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said < math.inf:
        return float(said)
    header = answer.headers.get("retry-after")
    return None if header is None else parse_retry_after(header, answer.at)


def _problem(answer: Answer) -> Mapping[str, Any] | None:
    """Wherry's problem document (RFC 9457); None if the answer is something else."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    facts = _json(answer) if kind == "application/problem+json" else None
    if not isinstance(facts, dict):
        return None
    return facts if _text_or_empty(facts, "type").startswith("urn:wherry:problem:") else None


def _json(answer: Answer) -> Any:
    """The parsed body; None if it is not JSON."""
    try:
        return json.loads(answer.body.decode(errors="replace"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def parse_object(answer: Answer) -> Mapping[str, Any]:
    """Raises `UnexpectedAnswer`."""
    data = _json(answer)
    if not isinstance(data, dict):
        raise unexpected(answer)
    return data


def unexpected(answer: Answer) -> UnexpectedAnswer:
    """The error for an answer that is not from Wherry."""
    kind = answer.headers.get("content-type", "no type")
    return UnexpectedAnswer(
        f"The answer (status {answer.status}, {kind}) is not from Wherry.",
        "Check the address: it ends where /chunked-upload begins.",
        "unexpected-answer",
        answer.status,
        retryable=True,
    )


def _text_or_empty(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _number(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    return None if value is None else _count(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(value)
    return value


def _ranges(value: Any) -> tuple[Range, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(Range(_count(start), _count(end)) for start, end in value)
