"""One operation of a protocol: a verb at an address, and what OpenAPI says of it.

Rule 1: no route declares a body, so that nothing is read before it is known who asks. What a
verb takes and answers is described here instead, from the models that parse and render it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from wherry.core import errors
from wherry.core.errors import NotForGuests, UploadError
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.direct import Takes
from wherry.protocols.openapi import json_content, schema_of
from wherry.protocols.problem import (
    Problem,
    ProblemResponse,
    Render,
    Statuses,
    render_problem,
    status_of,
)
from wherry.settings import Settings

Verb = Callable[[Request, Caller, Engine], Awaitable[Response]]

#: What each status of success means, and the model of its body.
Answers = Mapping[int, tuple[str, type[BaseModel] | None]]

#: What any operation may be refused for.
ALWAYS: tuple[type[UploadError], ...] = (
    errors.Unauthorized,
    errors.NotForGuests,
    errors.TicketRevoked,
    errors.StorageFailed,
    errors.RateLimited,
    errors.Overloaded,
    errors.Stopping,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of a protocol's table of routes.

    `name` is public: operation ids are made from it. `is_operators`: all callers but operators
    are answered as if the address did not exist. `is_shown`: whether OpenAPI has it. `begins`:
    whether it begins an upload. `takes_guests`: whether those who have a ticket and no login may
    ask; for any other operation, they are refused. `takes_readers`: the same for those whose ticket
    shows a report. `statuses`, `render`: of its refusals. `headers`: what every answer has.
    `takes`: which requests at this address are its own; None: all that none before it takes.
    """

    method: str
    path: str
    name: str
    verb: Verb
    summary: str
    answers: Answers
    refusals: tuple[type[UploadError], ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: dict[str, Any] | None = None
    is_operators: bool = False
    is_shown: bool = True
    begins: bool = False
    takes_guests: bool = False
    takes_readers: bool = False
    statuses: Statuses = status_of
    render: Render = render_problem
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: Takes | None = None

    def beside(self, other: Operation) -> Operation:
        """The same, described together with another one at its address."""
        known = {each["name"] for each in self.parameters}
        more = (each for each in other.parameters if each["name"] not in known)
        body = self.body or other.body
        if body and other.body:
            body = {**body, "content": {**other.body["content"], **body["content"]}}
        return replace(
            self,
            answers={**other.answers, **self.answers},
            parameters=(*self.parameters, *more),
            body=body,
        )

    def takes_tickets(self, settings: Settings) -> bool:
        """Whether anybody with a ticket may ask, where these settings hold."""
        return (settings.guests and self.takes_guests) or (
            settings.shared_reports and self.takes_readers
        )

    def check_caller(self, caller: Caller) -> None:
        """Raises `NotForGuests`."""
        takes = self.takes_readers if caller.is_reader else self.takes_guests
        if caller.ticket is not None and not takes:
            raise NotForGuests

    def described(self) -> dict[str, Any]:
        """The arguments of `add_api_route` that describe it."""
        in_path = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", self.path)
        ]
        extra: dict[str, Any] = {"parameters": [*in_path, *self.parameters]}
        if self.body is not None:
            extra["requestBody"] = self.body
        return {
            "summary": self.summary,
            "status_code": min(self.answers),
            "responses": self._responses(),
            "openapi_extra": extra,
            "include_in_schema": self.is_shown,
        }

    def _responses(self) -> dict[int | str, dict[str, Any]]:
        found: dict[int | str, dict[str, Any]] = {}
        for status, (text, model) in self.answers.items():
            content = {} if model is None else {"content": json_content(schema_of(model))}
            found[status] = {"description": text, **content}
        for error in (*ALWAYS, *self.refusals):
            content = {ProblemResponse.media_type: {"schema": schema_of(Problem)}}
            refusal = found.setdefault(
                self.statuses(error), {"description": "", "content": content}
            )
            refusal["description"] = ", ".join(filter(None, (refusal["description"], error.code)))
        return found
