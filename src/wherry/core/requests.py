"""The requests that a protocol makes to the engine on behalf of a client."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wherry.core.digests import Digest, LateDigest
from wherry.core.names import check_filename, check_metadata, check_text
from wherry.core.tickets import Ticket


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that sent a request. It sees its own uploads; an operator sees all of them.

    `ticket`: of a guest, who acts for the owner of that ticket, and sees only the uploads that were
    made with it, or the report that it shows.
    """

    owner: str
    operator: bool = False
    ticket: Ticket | None = None

    @property
    def ticket_id(self) -> str | None:
        return None if self.ticket is None else self.ticket.id

    @property
    def is_reader(self) -> bool:
        """Whether it may only look at a report."""
        return self.ticket is not None and self.ticket.shows is not None

    def max_size(self, limit: int | None) -> int | None:
        """The largest file that this caller may send, in bytes. `limit`: the server's; None: none.

        None: there is no limit.
        """
        own = None if self.ticket is None else self.ticket.max_size
        return min((most for most in (limit, own) if most is not None), default=None)


@dataclass(frozen=True, slots=True)
class Create:
    """A new upload. `length` in bytes; None while it is unknown, and `at_most` limits it instead.

    `chunk_size`: the chunk size that the client asks for. `largest_chunk`: the largest chunk that
    fits into one request. Both in bytes. `is_piece`: whether it is a piece of another upload, and
    no file.
    """

    filename: str
    length: int | None
    at_most: int | None = None
    content_type: str | None = None
    chunk_size: int | None = None
    largest_chunk: int | None = None
    fingerprint: str | None = None
    digest: Digest | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_piece: bool = False

    def checked(self) -> Create:
        """This request with its texts in the form in which they are stored. Raises `BadRequest`."""
        return replace(
            self,
            filename=check_filename(self.filename),
            content_type=_checked(self.content_type, "content_type"),
            fingerprint=_checked(self.fingerprint, "fingerprint"),
            metadata=check_metadata(self.metadata),
        )


def _checked(text: str | None, field: str) -> str | None:
    return None if text is None else check_text(text, field)


@dataclass(frozen=True, slots=True)
class Write:
    """Write the whole body into `upload_id`, from byte `offset` on.

    `digest`: of the whole body. If there is one and the body is cut off or has another digest,
    none of its bytes are kept. Without one, the bytes before a cut are kept.
    """

    upload_id: str
    offset: int
    digest: Digest | LateDigest | None = None


def id_of_key(owner: str, key: str, ticket_id: str | None = None) -> str:
    """The identifier of the upload that a request with this idempotency key brings.

    `ticket_id`: of a guest. The key has no control characters, so no other owner and key make the
    same text. No text in UTF-8 has the byte FF, so no owner has the keys of a guest.
    """
    return _id_of(owner, ticket_id, key.encode())


def id_of_pieces(owner: str, piece_ids: Sequence[str], ticket_id: str | None = None) -> str:
    """The identifier of the upload that is joined from these, in this order.

    So a request that is repeated finds what the first one has led to. No text in UTF-8 has the byte
    FE, so no idempotency key leads to the same.
    """
    return _id_of(owner, ticket_id, b"\xfe" + b"\0".join(each.encode() for each in piece_ids))


def _id_of(owner: str, ticket_id: str | None, what: bytes) -> str:
    whose = owner.encode() if ticket_id is None else b"\xff" + ticket_id.encode()
    return hashlib.sha256(whose + b"\0" + what).hexdigest()[:32]
