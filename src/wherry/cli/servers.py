"""Which server a command talks to: an address, or a name from the user's own list of servers.

The list is a file in TOML, `servers.toml` in the user's configuration folder, or the file that
`WHERRY_SERVERS` names:

    [films]
    url = "https://films.example.org/api"
    key = "wherry_..."
    ca = "/etc/ssl/company.pem"

Rule 1: a listed key is sent to its server only. A server that is listed with a key gets that one,
and not the key of the environment. `--key` comes before both.
"""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

KEY_VARIABLE, LIST_VARIABLE = "WHERRY_API_KEY", "WHERRY_SERVERS"
_NAME = re.compile(r"[\w-]+")
_FIELDS = {"url", "key", "ca"}


@dataclass(frozen=True, slots=True)
class Server:
    """`verify`: how its certificate is checked; None: as usual."""

    url: str
    key: str | None = None
    verify: ssl.SSLContext | None = None


def find_server(
    given: str, *, key: str | None = None, ca: Path | None = None, insecure: bool = False
) -> Server:
    """The server at this address, or of this name. Blocks.

    `ca`: a file with authorities to trust besides the usual ones. Raises `ValueError` for an
    unknown name, a list that cannot be understood, and a file without authorities; `OSError`.
    """
    listed = {} if "://" in given else _listed(given)
    ca = ca or (Path(listed["ca"]).expanduser() if "ca" in listed else None)
    key = key or listed.get("key") or os.environ.get(KEY_VARIABLE)
    return Server(listed.get("url", given), key, _verifying(ca, insecure))


def list_of_servers() -> Path:
    """Where the list is, or would be."""
    given = os.environ.get(LIST_VARIABLE)
    return Path(given) if given else Path(typer.get_app_dir("wherry")) / "servers.toml"


def _listed(name: str) -> Mapping[str, str]:
    path = list_of_servers()
    try:
        servers = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        servers = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a list of servers: {error}") from error
    if name not in servers:
        known = f" It lists: {', '.join(servers)}." if servers else ""
        what = (
            f"no server is called {name!r}" if _NAME.fullmatch(name) else f"{name!r} is no address"
        )
        raise ValueError(
            f"{what}. Write the address like https://example.org/api, or a name from {path}.{known}"
        )
    return _checked(servers[name], f"{path}: [{name}]")


def _checked(fields: Any, where: str) -> Mapping[str, str]:
    if not isinstance(fields, dict) or not isinstance(fields.get("url"), str):
        raise ValueError(f'{where} needs url = "https://..."')
    wrong = [name for name, value in fields.items() if not isinstance(value, str)]
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown or wrong:
        raise ValueError(f"{where} has {', '.join(unknown or wrong)}; it may have url, key and ca")
    return fields


def _verifying(ca: Path | None, insecure: bool) -> ssl.SSLContext | None:
    if ca is None and not insecure:
        return None
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except ssl.SSLError as error:
            raise ValueError(f"{ca} has no certificates in PEM form") from error
    return context
