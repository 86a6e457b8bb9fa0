"""Where a request has the ticket of its guest.

Rule 1: only in the header `Authorization`. Nothing here keeps or logs its text.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from wherry.core.errors import Unauthorized
from wherry.core.tickets import PREFIX, Presented


def has_ticket(scope: Scope) -> bool:
    """Whether the request presents something that is meant to be a ticket."""
    return _bearer(Headers(scope=scope)).startswith(PREFIX)


def presented_by(headers: Headers) -> Presented:
    """Raises `Unauthorized` for what is no ticket."""
    found = Presented.parse(_bearer(headers))
    if found is None:
        raise Unauthorized
    return found


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
