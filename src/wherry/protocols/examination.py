"""An examination of the path by a browser: the page measures, and the doctor says what it means.

The page asks here which request to make next, makes it (to the probe), and reports what came of
it with the next question. In the end, it gets what `wherry doctor` would print.

Rule 1: nothing is stored, also not between two questions. What is told is bounded, and comes back
to the caller alone.

Rule 2: texts of proxies are not trusted: they come back in JSON and in an escaped letter, and
never as HTML.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from wherry import __version__
from wherry.core import errors
from wherry.core.errors import BadRequest
from wherry.core.limits import MiB
from wherry.core.requests import Caller
from wherry.doctor.reply import End, Reply
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.openapi import json_body
from wherry.protocols.operation import Operation
from wherry.protocols.parsing import read_model

#: How many requests an examination may have, how many headers of an answer are told, and how many
#: bytes of a page.
MOST_REQUESTS, MOST_HEADERS, LARGEST_PAGE = 40, 32, 2048

Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=0, le=32 * MiB)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
Value = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,200}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_\[\]-]{0,260}$")]
#: No character of it means anything in Markdown's code, in a shell, or in HTML.
Url = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://[A-Za-z0-9.:_\[\]-]{1,260}(/[A-Za-z0-9._~%@:+,=/-]{0,1000})?$"
    ),
]


class Arrived(BaseModel):
    """What the probe answered."""

    bytes: Size
    first_byte: Seconds | None
    last_byte: Seconds | None
    host: Host = ""
    headers: list[Name] = Field(default=[], max_length=200, description="Names.")


class MadeRequest(BaseModel):
    """A request that was made, and what came of it."""

    model_config = ConfigDict(extra="ignore")

    size: Size
    began: Seconds = Field(description="After the beginning of the examination.")
    end: Literal["answer", "reset", "timeout"]
    at: Seconds = Field(description="When the answer or the end came, after the request began.")
    over_at: Seconds = Field(description="When the last byte of the answer came.")
    status: int | None = Field(None, ge=100, le=599)
    headers: dict[Name, Value] = Field({}, max_length=MOST_HEADERS, description="Of the answer.")
    page: Base64Bytes = Field(
        b"",
        max_length=2 * LARGEST_PAGE,
        description="The first 2,048 bytes of an answer that is not the probe's.",
    )
    arrived: Arrived | None = None


class ExaminationRequest(BaseModel):
    """What a browser has measured so far."""

    model_config = ConfigDict(extra="ignore")

    url: Url = Field(description="Of the API, as the browser sees it: before /chunked-upload.")
    begun: float = Field(
        ge=0,
        le=1e11,
        allow_inf_nan=False,
        description="When the examination began, by the browser's clock: seconds since 1970.",
    )
    protocol: Annotated[str, StringConstraints(pattern=r"^[a-z0-9/.-]{1,16}$")] | None = Field(
        None, description="`nextHopProtocol` of the requests, like `h2`."
    )
    requests: list[MadeRequest] = Field(max_length=MOST_REQUESTS)


class NextRequest(BaseModel):
    """A POST to the probe that is to be made."""

    size: int = Field(description="Bytes of the body.")
    content_type: str
    drip: int = Field(description="For the query, if it is not 0.")
    seconds: float = Field(description="How long it may take.")


class Examination(BaseModel):
    """Either the next request, or the report and the letter."""

    next: NextRequest | None
    report: dict[str, Any] | None = Field(description="As `wherry doctor --json` prints it.")
    letter: str | None = Field(
        description="Markdown for the people who run the ingress, as `--write` writes it."
    )


async def examine(request: Request, caller: Caller, engine: Engine) -> Response:
    told = await read_model(request, ExaminationRequest, engine.settings.chunk_timeout)
    return JsonAnswer(_answer(told), headers=NOT_STORED)


def _answer(told: ExaminationRequest) -> Examination:
    """Raises `BadRequest` for requests that nobody was asked to make."""
    # These read all that is known of proxies, and few servers are ever asked.
    from wherry.doctor.diagnosis import diagnose  # noqa: PLC0415
    from wherry.doctor.report import as_object, render_letter  # noqa: PLC0415
    from wherry.doctor.visit import Made, NotWanted, Visit, Wanted, follow  # noqa: PLC0415

    made = [Made(each.size, each.began, _reply(each)) for each in told.requests]
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        found = follow(Visit(told.url, told.begun, told.protocol, made), at, __version__)
    except NotWanted as wrong:
        field = f"requests.{wrong.index}.size"
        raise BadRequest(field, "is not the size that was asked for") from None
    if isinstance(found, Wanted):
        wanted = NextRequest(
            size=found.size,
            content_type=found.content_type,
            drip=found.drip,
            seconds=round(found.seconds, 1),
        )
        return Examination(next=wanted, report=None, letter=None)
    diagnosis = diagnose(found)
    return Examination(
        next=None, report=as_object(found, diagnosis), letter=render_letter(found, diagnosis)
    )


def _reply(made: MadeRequest) -> Reply:
    """A browser cannot tell whether an answer came before the body was sent."""
    body = made.page[:LARGEST_PAGE]
    if made.arrived is not None:
        arrived = made.arrived.model_dump()
        body = json.dumps(arrived | {"headers": dict.fromkeys(arrived["headers"])}).encode()
    return Reply(
        End(made.end),
        made.status,
        {name.lower(): value for name, value in made.headers.items()},
        body,
        is_early=None,
        at=made.at,
        over_at=max(made.at, made.over_at),
    )


ROUTES = (
    Operation(
        "POST",
        "/examination",
        "examine",
        examine,
        "Ask what to measure next, or what the measurements mean; nothing is stored",
        {200: ("The next request, or the report.", Examination)},
        (errors.BadRequest, errors.TooLarge, errors.BodyCut, errors.BodyStalled),
        body=json_body(ExaminationRequest),
    ),
)
