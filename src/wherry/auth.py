"""Authentication of the standalone server: API keys, or anonymous access on this machine.

Rule 1: a key is shown once, when it is made. The file holds its SHA-256. A key is 256
random bits, so a slow hash would add nothing.

Rule 2: the server decides once, at its start, whether it allows anonymous access: only if
it listens on a loopback address and there is no file of keys. The first key ends anonymous
access for as long as the server runs. If the file is missing later, every request is refused.

Rule 3: anonymous access is for peers on this machine whose request also names this machine.
A page of another site that makes the browser send a request here is refused by its Origin,
and a foreign name that resolves to this machine by its Host.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

from wherry.core.errors import ForeignOrigin, KeysUnreadable, Unauthorized
from wherry.core.requests import Caller
from wherry.events import Event, log_event
from wherry.metrics import Metrics

ANONYMOUS = Caller("anonymous", operator=True)


@dataclass(frozen=True, slots=True)
class Key:
    """One API key: the name of its owner, its SHA-256, and whether the owner is an operator."""

    owner: str
    sha256: str
    operator: bool = False


class KeysProblem(Exception):
    """The file of keys is missing or cannot be read. The text says which, and why."""


class Keys:
    """API keys in a file. A change takes effect with the next request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int, int] | None = None
        self._keys: list[Key] = []

    def has_file(self) -> bool:
        """Whether there is a file of keys, readable or not.

        After the last key is removed, the file stays, and every request is refused.
        """
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def all(self) -> list[Key]:
        """All keys. Raises `KeysProblem`, also if the file is missing."""
        try:
            facts = self._path.stat()
            stamp = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
            if stamp != self._read_at:
                self._keys = [Key(**key) for key in json.loads(self._path.read_text())]
                self._read_at = stamp
        except OSError as error:
            raise KeysProblem(f"{self._path}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise KeysProblem(f"{self._path} is not a list of keys: {error}") from error
        return self._keys

    def add(self, owner: str, operator: bool = False) -> str:
        """A new key for `owner`, in clear text. It cannot be read again later.

        Raises `KeysProblem` if the file exists and cannot be read, and `ValueError` for a
        name that would be unreadable in a list.
        """
        if not owner.strip() or owner != owner.strip() or not owner.isprintable():
            raise ValueError("the name must be text, without blanks around it")
        key = f"wherry_{secrets.token_urlsafe(32)}"
        known = self.all() if self.has_file() else []
        self._write([*known, Key(owner, _sha256(key), operator)])
        return key

    def remove(self, owner: str, begins: str = "") -> int:
        """Remove the keys of `owner` whose SHA-256 starts with `begins`. Returns their number."""
        known = self.all() if self.has_file() else []
        kept = [key for key in known if key.owner != owner or not key.sha256.startswith(begins)]
        if len(kept) < len(known):
            self._write(kept)
        return len(known) - len(kept)

    def find(self, key: str) -> Caller | None:
        """The owner of this key, among the keys that `all` read last; None for an unknown key."""
        wanted = _sha256(key)
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.sha256, wanted):
                found = Caller(known.owner, known.operator)
        return found

    def knows(self, owner: str) -> bool:
        """Whether this owner has a key, among those that `all` read last."""
        return any(key.owner == owner for key in self._keys)

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


class Access:
    """Decides who may use one server. `caller` is the dependency for routes.

    `is_local`: whether the server listens on an address that only this machine can reach.
    """

    def __init__(self, keys: Keys, is_local: bool, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics
        self._is_anonymous = is_local and not keys.has_file()
        self._problem: str | None = None

    def is_anonymous(self) -> bool:
        """Whether requests from this machine need no key. That ends with the first file of keys."""
        if self._is_anonymous and self._keys.has_file():
            self._is_anonymous = False
            log_event(Event.ANONYMOUS_ACCESS_ENDED, metrics=self._metrics)
        return self._is_anonymous

    def caller(self, request: Request) -> Caller:
        """The owner of the request's key, or `ANONYMOUS` while access is anonymous.

        Raises `Unauthorized`, `ForeignOrigin`, `KeysUnreadable`.
        """
        if self.is_anonymous():
            return anonymous(request)
        if self.problem() is not None:
            raise KeysUnreadable
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        found = self._keys.find(key.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Unauthorized
        return found

    def check_owner(self, owner: str) -> None:
        """Whether a ticket of this owner may be used: it ends with the owner's own access.

        Raises `Unauthorized`, `KeysUnreadable`.
        """
        if self.is_anonymous():
            has_access = owner == ANONYMOUS.owner
        else:
            if self.problem() is not None:
                raise KeysUnreadable
            has_access = self._keys.knows(owner)
        if not has_access:
            raise Unauthorized

    def problem(self) -> str | None:
        """Why every request is refused, as a sentence; None while the keys can be read."""
        if self.is_anonymous():
            return None
        try:
            self._keys.all()
            self._note(None)
        except KeysProblem as problem:
            self._note(str(problem))
            return "The API keys cannot be read; the log says why."
        return None

    def _note(self, problem: str | None) -> None:
        """Log one line when the keys become unreadable, and one when they can be read again."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log_event(Event.KEYS_READABLE, metrics=self._metrics)
        else:
            log_event(Event.KEYS_UNREADABLE, metrics=self._metrics, problem=problem)


def anonymous(request: Request) -> Caller:
    """`ANONYMOUS` for a request from this machine. Raises `Unauthorized`, `ForeignOrigin`."""
    if request.client is None or not is_loopback(request.client.host):
        raise Unauthorized
    host = request.headers.get("host", "")
    origin = request.headers.get("origin", f"http://{host}")
    for url in dict.fromkeys((f"http://{host}", origin)):
        try:
            name = urlsplit(url).hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name):
            raise ForeignOrigin(url[:100])
    return ANONYMOUS


@lru_cache(maxsize=256)  # each anonymous request asks, for the same names
def is_loopback(host: str) -> bool:
    """Whether this name or address is a loopback one."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
