"""Digests of parts and files.

Rule 1: every part has a CRC-64/NVME, computed while its bytes arrive. The CRCs of neighbours
are combined into one, so the digest of a whole file needs no second read.

Rule 2: the bytes of one request are checked with the algorithm of the client's digest as they come.
A whole file is checked with CRC-64/NVME alone: of the digests that clients use, only a CRC can
be combined from parts that arrived out of order.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from awscrt import checksums

from wherry.core.errors import DigestMismatch

#: The CRC-64/NVME of no bytes.
EMPTY_CRC = 0


def crc64(data: memoryview | bytes | bytearray, crc: int = EMPTY_CRC) -> int:
    """The CRC-64/NVME of bytes whose CRC is `crc`, followed by `data`."""
    return int(checksums.crc64nvme(data, crc))


def combine(first: int, second: int, second_length: int) -> int:
    """The CRC of two neighbouring parts, from the CRC of each; `second_length` in bytes."""
    return int(checksums.combine_crc64nvme(first, second, second_length))


class Updated(Protocol):
    """What is fed with bytes, piece by piece."""

    def update(self, data: memoryview, /) -> None: ...


class Running(Updated, Protocol):
    """A digest that is updated piece by piece, with the interface of hashlib."""

    def digest(self) -> bytes: ...


_STEPS: Mapping[str, Callable[[memoryview, int], int]] = {
    "crc64nvme": checksums.crc64nvme,
    "crc32c": checksums.crc32c,
    "crc32": checksums.crc32,
}


class _Crc:
    def __init__(self, step: Callable[[memoryview, int], int], length: int) -> None:
        self._step, self._bytes = step, length
        self._crc = 0

    def update(self, data: memoryview, /) -> None:
        self._crc = self._step(data, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(self._bytes, "big")


#: The length of each in bytes, the strongest first. The names are those of the registry of RFC
#: 9530. CRC-64/NVME is not in it, and has the name that Amazon S3 gave it.
LENGTHS: Mapping[str, int] = {"sha-512": 64, "sha-256": 32, "crc64nvme": 8, "crc32c": 4}


def running(algorithm: str) -> Running:
    """A new digest in one of the algorithms of `LENGTHS`, or in `crc32`, `md5` or `sha1`."""
    if (step := _STEPS.get(algorithm)) is not None:
        return _Crc(step, 8 if algorithm == "crc64nvme" else 4)
    return hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of some bytes; as text `algorithm=:base64:`, a member as in RFC 9530."""

    algorithm: str
    value: bytes

    @classmethod
    def of_crc(cls, crc: int) -> Digest:
        return cls("crc64nvme", crc.to_bytes(8, "big"))

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The inverse of `str`. Raises `ValueError`."""
        algorithm, _, value = text.partition("=")
        if len(value) < 2 or value[0] != ":" or value[-1] != ":":
            raise ValueError(f"{text!r} is not algorithm=:base64:")
        return cls(algorithm, base64.b64decode(value[1:-1], validate=True))

    def expect(self) -> Expected:
        """Bytes that are to have this digest."""
        return _One(self)

    def __str__(self) -> str:
        return f"{self.algorithm}=:{base64.b64encode(self.value).decode()}:"


class Expected(Updated, Protocol):
    """Bytes that come piece by piece, and are to have a digest that the client tells."""

    def check(self) -> None:
        """Raises `DigestMismatch`, when all bytes have come."""


class _One:
    def __init__(self, digest: Digest) -> None:
        self._digest, self._running = digest, running(digest.algorithm)
        self.update = self._running.update

    def check(self) -> None:
        if self._running.digest() != self._digest.value:
            raise DigestMismatch(self._digest.algorithm)


@dataclass(frozen=True, slots=True)
class LateDigest:
    """The digest of some bytes, which the client tells only behind them, with its algorithm.

    So the digests in all `algorithms` are computed. `tell`: what the client has told; it is asked
    when all bytes have come, on any thread, and may raise an `UploadError`.
    """

    algorithms: tuple[str, ...]
    tell: Callable[[], Digest]

    def expect(self) -> Expected:
        """Bytes that are to have this digest."""
        return _Several(self)


class _Several:
    def __init__(self, late: LateDigest) -> None:
        self._tell = late.tell
        self._running = {algorithm: running(algorithm) for algorithm in late.algorithms}

    def update(self, data: memoryview, /) -> None:
        for each in self._running.values():
            each.update(data)

    def check(self) -> None:
        told = self._tell()
        if self._running[told.algorithm].digest() != told.value:
            raise DigestMismatch(told.algorithm)
