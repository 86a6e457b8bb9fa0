"""Compares what a server stored with what was sent, byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from io import FileIO
from pathlib import Path

BLOCK = 1 << 20


class WrongBytes(Exception):
    """A server did not store what it was sent."""


def check_stored(source: Path, begin: int, size: int, files: Sequence[Path]) -> None:
    """Compare `files`, joined, with `size` bytes of `source` from `begin` on.

    Raises `WrongBytes` with the first place that differs, or if a file is missing, too short or
    too long.
    """
    done = 0
    with source.open("rb", buffering=0) as wanted:
        wanted.seek(begin)
        for path in files:
            try:
                stored = path.open("rb", buffering=0)
            except FileNotFoundError:
                raise WrongBytes(f"{path.name} is missing") from None
            with stored:
                while block := stored.read(BLOCK):
                    _check_block(wanted, block, done, path.name)
                    done += len(block)
    if done != size:
        raise WrongBytes(f"{files[-1].name} has {done:,} bytes instead of {size:,}")


def _check_block(wanted: FileIO, block: bytes, at: int, name: str) -> None:
    expected = wanted.read(len(block))
    if expected != block:
        first = next(
            (i for i, pair in enumerate(zip(expected, block, strict=False)) if pair[0] != pair[1]),
            len(expected),
        )
        raise WrongBytes(f"{name} differs at byte {at + first:,}")
