"""Digests as HTTP fields carry them: https://www.rfc-editor.org/rfc/rfc9530

Rule 1: unknown algorithms are passed over, as section 2 allows. A known one whose value is not
a digest of its length is a mistake of the client's and is refused.
"""

from __future__ import annotations

import http_sf

from wherry.core.digests import LENGTHS, Digest
from wherry.core.errors import BadRequest


def parse_digests(text: str, field: str) -> dict[str, Digest]:
    """The digests in a field whose algorithms are known, by algorithm.

    Raises `BadRequest` for a malformed field or a value of the wrong length.
    """
    try:
        # RFC 9530, section 2: a Dictionary whose values are Byte Sequences (RFC 9651).
        members = http_sf.parse(text.encode("ascii"), tltype="dictionary")
    except ValueError:
        members = {}
    if not members or not isinstance(members, dict):
        raise BadRequest(field, "is not a list of algorithm=:base64: as in RFC 9530")
    found = {}
    for algorithm, member in members.items():
        if (length := LENGTHS.get(algorithm)) is None:
            continue
        value = member[0] if isinstance(member, tuple) else member
        if not isinstance(value, bytes):
            raise BadRequest(field, f"the {algorithm} value is not base64 between colons")
        if len(value) != length:
            raise BadRequest(field, f"a {algorithm} value has {length} bytes")
        found[algorithm] = Digest(algorithm, value)
    return found


def parse_digest(text: str, field: str) -> Digest | None:
    """The strongest digest in a `Content-Digest` field, or None. Raises `BadRequest`."""
    found = parse_digests(text, field)
    return next((found[algorithm] for algorithm in LENGTHS if algorithm in found), None)


def parse_file_digest(text: str) -> Digest:
    """A whole file's digest, which must be `crc64nvme=:base64:`.

    No other digest can be combined from parts that arrived out of order.
    Raises `BadRequest` for anything else.
    """
    digest = parse_digests(text, "digest").get("crc64nvme")
    if digest is None:
        raise BadRequest(
            "digest",
            "a whole file can only be checked by crc64nvme=:base64:; "
            "send sha-256 with each chunk, in its Content-Digest",
        )
    return digest
