"""The requests that a protocol makes to the engine on behalf of a client."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wherry.core.digests import Digest
from wherry.core.names import check_filename, check_metadata, check_text


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that sent a request. It sees its own uploads; an operator sees all of them."""

    owner: str
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """A new upload. `length` in bytes; None while it is unknown, and `at_most` limits it instead.

    `chunk_size`: the chunk size that the client asks for. `largest_chunk`: the largest chunk that
    fits into one request. Both in bytes.
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
    digest: Digest | None = None


def id_of_key(owner: str, key: str) -> str:
    """The identifier of the upload that a request with this idempotency key brings.

    The key has no control characters, so no other owner and key make the same text.
    """
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()[:32]
