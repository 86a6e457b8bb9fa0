"""The servers that are compared: how each is installed, started, spoken to, and what it stores.

Rule 1: every server runs as its documentation says, with its default log, written to a file.
Rule 2: a server that cannot be installed is left out and named with the reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.processes import Running


class Way(StrEnum):
    """How a file is uploaded."""

    CHUNKS = "chunks"
    """In the requests that make it resumable, each with at most the chunk's size."""
    ONE = "one"
    """In one request, if the server can."""
    JOIN = "join"
    """In chunks that a finishing call turns into one file."""


@dataclass(frozen=True)
class Dialect:
    """What the driver has to speak, and the path below which the server's routes are."""

    name: str
    base: str


class NotInstalled(Exception):
    """A server cannot be installed here; the text is the reason."""


class Peer(ABC):
    """One server, in one configuration."""

    #: What options and results call it: `wherry/power-loss`.
    key: str
    #: What tables call it.
    title: str
    #: What it does not promise, or which promise was switched off, in a few words.
    lacks: str

    @property
    @abstractmethod
    def speaks(self) -> Mapping[Way, Dialect]:
        """The ways that it can, and the dialect of each."""

    @abstractmethod
    def install(self, cache: Path) -> str:
        """Make it ready to start, below `cache`. Returns its version. Raises `NotInstalled`."""

    @abstractmethod
    def serve(self, folder: Path, cache: Path) -> AbstractContextManager[Running]:
        """Start it, with all that it stores below `folder`. Raises `NotStarted`."""

    @abstractmethod
    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        """The files that hold one upload, which was sent in `pieces` requests, in their order."""

    def web_pids(self, server: Running) -> list[int]:
        """The processes whose peak memory counts: those that receive bytes."""
        return [server.pid]


def tus_dialects(base: str, joins: bool) -> dict[Way, Dialect]:
    """What a server of tus 1.0 with `creation-with-upload` can; `joins`: also `concatenation`."""
    speaks = {Way.CHUNKS: Dialect("tus", base), Way.ONE: Dialect("tus-one", base)}
    if joins:
        speaks[Way.JOIN] = Dialect("tus-join", base)
    return speaks
