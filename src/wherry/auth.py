"""Who is asking, in the standalone server: API keys, or anybody on this machine.

Rule 1: a key is shown once, when it is made; the file holds its SHA-256. It is
256 random bits, so a slow hash would add nothing.

Rule 2: anonymous access is for a loopback address only, and also there only for
requests that name this machine: a page from elsewhere that makes the browser
ask here is refused by its Origin, a foreign name that resolves here by its Host.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

from wherry.core.errors import ForeignOrigin, Unauthorized
from wherry.core.requests import Caller

ANONYMOUS = Caller("anonymous", operator=True)


@dataclass(frozen=True, slots=True)
class Key:
    """One API key: its owner's name, the SHA-256 of the key, whether an operator's."""

    owner: str
    sha256: str
    operator: bool = False


class Keys:
    """API keys in a file. A change takes effect with the next request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._keys: list[Key] = []

    def are_required(self) -> bool:
        """Whether there ever was a key: who removes the last one locks everybody out."""
        return self._path.exists()

    def all(self) -> list[Key]:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return []
        if (stamp := (facts.st_mtime_ns, facts.st_ino)) != self._read_at:
            self._keys = [Key(**key) for key in json.loads(self._path.read_text())]
            self._read_at = stamp
        return self._keys

    def add(self, owner: str, operator: bool = False) -> str:
        """A new key for `owner`, in clear: nobody can read it again later."""
        key = f"wherry_{secrets.token_urlsafe(32)}"
        self._write([*self.all(), Key(owner, _sha256(key), operator)])
        return key

    def remove(self, owner: str) -> int:
        """Take all keys of `owner` away; how many there were."""
        kept = [key for key in self.all() if key.owner != owner]
        removed = len(self.all()) - len(kept)
        self._write(kept)
        return removed

    def find(self, key: str) -> Caller | None:
        wanted = _sha256(key)
        found = None
        for known in self.all():
            if hmac.compare_digest(known.sha256, wanted):
                found = Caller(known.owner, known.operator)
        return found

    def _write(self, keys: list[Key]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump([asdict(key) for key in keys], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def keys_file(data: Path) -> Path:
    return data / "keys.json"


def known_caller(keys: Keys) -> Callable[[Request], Caller]:
    """A dependency: whose key it is; anybody on this machine while there never was a key.

    Raises `Unauthorized`, `ForeignOrigin`.
    """

    def caller(request: Request) -> Caller:
        if not keys.are_required():
            return anonymous(request)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        found = keys.find(key.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Unauthorized
        return found

    return caller


def anonymous(request: Request) -> Caller:
    """Anybody, asking on this machine. Raises `ForeignOrigin`."""
    host = request.headers.get("host", "")
    origin = request.headers.get("origin", f"http://{host}")
    for url in (f"http://{host}", origin):
        try:
            name = urlsplit(url).hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name):
            raise ForeignOrigin(url[:100])
    return ANONYMOUS


def is_loopback(host: str) -> bool:
    """Whether this name or address is the machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
