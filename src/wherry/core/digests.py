"""Digests of parts and files.

Rule 1: every part has a CRC-64/NVME, taken while its bytes pass. The digest of
neighbours is combined from theirs, so a whole file's needs no second read.

Rule 2: what a client announces is checked in the client's own algorithm while
the bytes pass. A whole file is checked by CRC-64/NVME alone: no other digest
that clients use can be combined from parts that arrived out of order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from awscrt import checksums

from wherry.core.errors import BadRequest

#: The empty file's CRC-64/NVME.
EMPTY_CRC = 0


def crc64(data: memoryview | bytes, crc: int = EMPTY_CRC) -> int:
    """The CRC-64/NVME of `data` put behind bytes whose CRC is `crc`."""
    return int(checksums.crc64nvme(data, crc))


def combine(first: int, second: int, second_length: int) -> int:
    """The CRC of two neighbours, from theirs; `second_length` in bytes."""
    return int(checksums.combine_crc64nvme(first, second, second_length))


class Running(Protocol):
    """A digest that grows: hashlib's own shape."""

    def update(self, data: memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, bits: int) -> None:
        self._bytes = bits // 8
        self._step = checksums.crc64nvme if bits == 64 else checksums.crc32c
        self._crc = 0

    def update(self, data: memoryview, /) -> None:
        self._crc = self._step(data, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(self._bytes, "big")


#: Names as in RFC 9530 section 5, and Amazon's for CRC-64/NVME, which has none there.
LENGTHS: Mapping[str, int] = {"sha-512": 64, "sha-256": 32, "crc64nvme": 8, "crc32c": 4}


def running(algorithm: str) -> Running:
    """A new digest in one of the algorithms of `LENGTHS`."""
    if algorithm == "crc64nvme":
        return _Crc(64)
    if algorithm == "crc32c":
        return _Crc(32)
    return hashlib.new(algorithm.replace("-", ""))


@dataclass(frozen=True, slots=True)
class Digest:
    """What a client says its bytes hash to; `str()` is the RFC 9530 member."""

    algorithm: str
    value: bytes

    @classmethod
    def of_crc(cls, crc: int) -> Digest:
        return cls("crc64nvme", crc.to_bytes(8, "big"))

    def __str__(self) -> str:
        return f"{self.algorithm}=:{base64.b64encode(self.value).decode()}:"


# RFC 9530 section 2: a Dictionary whose values are Byte Sequences (RFC 8941 section 3.3.5).
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*")


def parse_digests(text: str, field: str) -> dict[str, Digest]:
    """The digests in a field that we know, by algorithm.

    RFC 9530 section 2 lets a recipient ignore algorithms it does not know.
    Raises `BadRequest` for a malformed field or a value of the wrong length.
    """
    found: dict[str, Digest] = {}
    for member in text.split(","):
        match = _MEMBER.fullmatch(member)
        if not match:
            raise BadRequest(field, "is not a list of algorithm=:base64: as in RFC 9530")
        algorithm, encoded = match.groups()
        if algorithm not in LENGTHS:
            continue
        try:
            value = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise BadRequest(field, f"the {algorithm} value is not base64") from None
        if len(value) != LENGTHS[algorithm]:
            raise BadRequest(field, f"a {algorithm} value has {LENGTHS[algorithm]} bytes")
        found[algorithm] = Digest(algorithm, value)
    return found


def parse_digest(text: str, field: str) -> Digest | None:
    """The strongest digest in a `Content-Digest` field, or None. Raises `BadRequest`."""
    found = parse_digests(text, field)
    return next((found[a] for a in LENGTHS if a in found), None)


def parse_file_digest(text: str) -> Digest:
    """A whole file's digest, which must be `crc64nvme=:base64:` (see Rule 2).

    Raises `BadRequest` for anything else.
    """
    digest = parse_digests(text, "digest").get("crc64nvme")
    if digest is None:
        raise BadRequest(
            "digest",
            "a whole file is checked by crc64nvme=:base64: alone; "
            "send sha-256 with each chunk, in its Content-Digest",
        )
    return digest
