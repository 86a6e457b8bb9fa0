"""Who is asking, in the standalone server: API keys, or anybody on this machine.

Rule 1: a key is shown once, when it is made; the file holds its SHA-256. It is
256 random bits, so a slow hash would add nothing.

Rule 2: whether anonymous access is possible is decided once, when the server starts, from
the address it listens on: a loopback address, and no file of keys. The first key ends it
for as long as the server runs. A file of keys that is missing later lets nobody in.

Rule 3: anonymous access is for peers on this machine whose request also names this machine:
a page from elsewhere that makes the browser ask here is refused by its Origin, a foreign
name that resolves here by its Host.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from dataclasses import asdict, dataclass
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
    """One API key: its owner's name, the SHA-256 of the key, whether an operator's."""

    owner: str
    sha256: str
    operator: bool = False


class KeysProblem(Exception):
    """The file of keys is missing or cannot be read; the text says which, and why."""


class Keys:
    """API keys in a file. A change takes effect with the next request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int, int] | None = None
        self._keys: list[Key] = []

    def are_there(self) -> bool:
        """Whether there is a file of keys, readable or not.

        Who removes the last key leaves an empty one, and locks everybody out.
        """
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def all(self) -> list[Key]:
        """Raises `KeysProblem`, also where the file is missing."""
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
        """A new key for `owner`, in clear: nobody can read it again later.

        Raises `KeysProblem` for a file that is there and cannot be read, `ValueError` for a
        name that nobody could read in a list.
        """
        if not owner.strip() or owner != owner.strip() or not owner.isprintable():
            raise ValueError("the name must be text, without blanks around it")
        key = f"wherry_{secrets.token_urlsafe(32)}"
        known = self.all() if self.are_there() else []
        self._write([*known, Key(owner, _sha256(key), operator)])
        return key

    def remove(self, owner: str, begins: str = "") -> int:
        """Take the keys of `owner` away whose SHA-256 begins so; how many there were."""
        known = self.all() if self.are_there() else []
        kept = [key for key in known if key.owner != owner or not key.sha256.startswith(begins)]
        if len(kept) < len(known):
            self._write(kept)
        return len(known) - len(kept)

    def find(self, key: str) -> Caller | None:
        """Whose key it is, of those that `all` read last."""
        wanted = _sha256(key)
        found = None
        for known in self._keys:
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


class Access:
    """Who may come in to one server, as a dependency: `caller`.

    `is_local`: whether only this machine can reach the address that it listens on.
    """

    def __init__(self, keys: Keys, is_local: bool, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics
        self._is_anonymous = is_local and not keys.are_there()
        self._problem: str | None = None

    def is_anonymous(self) -> bool:
        """Whether anybody on this machine is let in: until there is a file of keys."""
        if self._is_anonymous and self._keys.are_there():
            self._is_anonymous = False
            log_event(Event.ANONYMOUS_ACCESS_ENDED, metrics=self._metrics)
        return self._is_anonymous

    def caller(self, request: Request) -> Caller:
        """Whose key it is; anybody on this machine while access is anonymous.

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

    def problem(self) -> str | None:
        """What keeps everybody out, as a sentence; None while keys can be read."""
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
        """One line in the log when the keys go away, and one when they are back."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log_event(Event.KEYS_READABLE, metrics=self._metrics)
        else:
            log_event(Event.KEYS_UNREADABLE, metrics=self._metrics, problem=problem)


def anonymous(request: Request) -> Caller:
    """Anybody, asking on this machine. Raises `Unauthorized`, `ForeignOrigin`."""
    if request.client is None or not is_loopback(request.client.host):
        raise Unauthorized
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
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
