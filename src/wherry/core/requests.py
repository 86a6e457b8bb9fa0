"""What a protocol asks of the engine for a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wherry.core.digests import Digest
from wherry.core.names import check_filename, check_metadata, check_text


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request. An upload belongs to its owner; an operator sees all uploads."""

    owner: str
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """A new upload. `length` is None while unknown; then `at_most` bounds it (bytes).

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
        """The same, with its texts as they are stored. Raises `BadRequest`."""
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
    """Bytes for `upload_id` from `offset` on, as many as the body brings.

    `digest` is of the whole body; with one, a body that is cut off or differs is dropped whole.
    """

    upload_id: str
    offset: int
    digest: Digest | None = None
