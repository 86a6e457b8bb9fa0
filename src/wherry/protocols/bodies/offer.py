"""What a server may offer with a request, beside ASGI: its body, straight from the connection.

`wherry.lane` offers it, in `scope["extensions"][OFFER]["offer"]`.

Rule 1: a middleware that reads or changes bodies by wrapping `receive` sees nothing of a body that
is taken, but its end. Such a middleware removes the offer from the scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from starlette.types import Scope

from wherry.protocols.bodies.source import RequestBody

OFFER = "wherry.lane"


class TakenBody(RequestBody, Protocol):
    """Use it by `async with`. After that, `receive` brings the rest of the body, and its end."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it was read."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Offer(Protocol):
    """The offer of one request."""

    is_taken: bool  #: Whether `take` has returned the body.
    #: The lines after a chunked body, names in lower case. Complete once `receive` has brought the
    #: end of the body.
    trailers: Sequence[tuple[bytes, bytes]]
    sent: Sequence[int]  #: The statuses that `send_interim` has sent.

    @property
    def is_asked_for(self) -> bool:
        """Whether it was taken, and the client does not wait until it is asked to send it."""

    def take(self, timeout: float, is_distant: bool = False) -> TakenBody | None:
        """The body; None where `receive` is the better way, or where it was used already.

        `timeout`: the seconds within which the client must make progress. `is_distant`: whether
        the threads that read it wait for a network.
        """

    def send_interim(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> bool:
        """Send an informational response (1xx), unless the response has begun.

        Returns whether it was sent. Raises `ValueError` for a status or header that is not valid.
        """

    def drop(self) -> None:
        """Close the connection without an answer, unless the response has begun."""


def offer_of(scope: Scope) -> Offer | None:
    offer: Offer | None = scope.get("extensions", {}).get(OFFER, {}).get("offer")
    return offer
