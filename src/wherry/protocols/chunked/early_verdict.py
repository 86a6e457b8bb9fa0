"""What the bytes received so far show of a video, before it is complete."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from wherry.core.early_verdict import EarlyVerdict
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.chunked.models import ByteRange
from wherry.protocols.openapi import Id
from wherry.protocols.parsing import parse_id

State = Literal["known", "more", "unavailable"]


class EarlyFinding(BaseModel):
    """A finding that will be in the report of this file."""

    model_config = ConfigDict(extra="ignore")

    code: str
    severity: str = Field(description="`info`, `warn` or `fail`.")
    message: str
    value: float | None = None
    threshold: float | None = None
    basis: str | None = None


class EarlyVerdictFacts(BaseModel):
    """What the bytes that have been received show; the rest of the file cannot change it."""

    upload_id: Id
    state: State = Field(
        description="`known`: see `findings`. `more`: ask again when `needs` has been received. "
        "`unavailable`: see `problem`."
    )
    policy: str | None = Field(description="The policy of the findings.")
    verdict: str | None = Field(
        description="`pass`, `warn`, `fail` or `not-assessed`, by these findings. That of the "
        "report may be worse."
    )
    findings: list[EarlyFinding]
    needs: ByteRange | None = Field(description="The bytes that the server lacks for it.")
    problem: str | None = Field(description="Why there is no early verdict, as a sentence.")


async def early_verdict(request: Request, caller: Caller, engine: Engine) -> Response:
    upload_id = parse_id(request.path_params["upload_id"])
    found = await engine.early_verdict(caller, upload_id)
    return JsonAnswer(render_early_verdict(upload_id, found), headers=NOT_STORED)


def render_early_verdict(upload_id: str, found: EarlyVerdict) -> EarlyVerdictFacts:
    state: State = "known"
    if found.verdict is None:
        state = "unavailable" if found.needs is None else "more"
    return EarlyVerdictFacts(
        upload_id=upload_id,
        state=state,
        policy=found.policy,
        verdict=found.verdict,
        findings=[EarlyFinding.model_validate(finding) for finding in found.findings],
        needs=None if found.needs is None else [found.needs.start, found.needs.end],
        problem=found.problem,
    )
