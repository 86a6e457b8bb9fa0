"""The clients of the laboratory: each sends files one after the other, as a user's would.

Rule 1: what a client says of itself is not used, apart from the upload's id and how long it took.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

#: Seconds that one upload may take.
TIMEOUT = 150.0


@dataclass(frozen=True)
class Uploaded:
    """How one upload ended. `upload_id`: empty where it failed, and `problem` says why."""

    seconds: float
    upload_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Way:
    """How a client gets to the server. `page`: where a browser's page comes from."""

    origin: str
    page: str
    certificate: Path | None = None

    @property
    def api(self) -> str:
        return f"{self.origin}/api"


#: One item for each file.
Uploads = Generator[Uploaded, None, None]


class Client(ABC):
    """One kind of client."""

    key: str
    title: str

    @abstractmethod
    def start(self) -> AbstractContextManager[None]:
        """What all of its uploads need. Raises `NotInstalled`."""

    @abstractmethod
    def upload(self, way: Way, files: Sequence[Path], folder: Path) -> Uploads:
        """Send the files with a client that knows nothing of this way; one is sent when the next
        item is asked for. `folder`: for what it writes."""
