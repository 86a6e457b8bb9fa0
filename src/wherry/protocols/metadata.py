"""`Upload-Metadata` of tus, which clients send by the IETF's protocol, too."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from wherry.core.errors import BadRequest
from wherry.core.names import as_unicode

#: The keys under which clients send the name and the type of a file, the most usual first.
NAMES, TYPES = ("filename", "name"), ("filetype", "type", "contentType")


def parse_metadata(text: str) -> dict[str, str]:
    """`key base64,key base64,key`, by key. Raises `BadRequest`."""
    found: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        key, _, value = pair.partition(" ")
        if key in found:
            raise BadRequest("upload-metadata", "has a key twice")
        decoded = decode_base64(value.strip(), "upload-metadata")
        found[as_unicode(key)] = decoded.decode("utf-8", "replace")
    return found


def render_metadata(metadata: Mapping[str, str]) -> str:
    """The inverse of `parse_metadata`, as most clients write it."""
    pairs = []
    for key, value in metadata.items():
        encoded = base64.b64encode(value.encode()).decode()
        pairs.append(f"{key} {encoded}" if encoded else key)
    return ",".join(pairs)


def first(metadata: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    """The first of these that is there, and not empty."""
    return next((metadata[key] for key in keys if metadata.get(key)), None)


def decode_base64(text: str, field: str) -> bytes:
    """Raises `BadRequest`."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadRequest(field, "has a value that is not base64") from None
