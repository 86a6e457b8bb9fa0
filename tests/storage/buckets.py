"""S3 storage for tests: each in a prefix of its own of the real server."""

from __future__ import annotations

import secrets
from typing import Any
from unittest.mock import patch

from wherry.core.place import Place
from wherry.storage.s3.connecting import connect
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import BUCKET, S3Server

_clients: dict[str, Any] = {}


def client_of(server: S3Server, endpoint: str | None = None) -> Any:
    """A client, made once for each endpoint: making one takes a tenth of a second."""
    endpoint = endpoint or server.endpoint
    if endpoint not in _clients:
        with patch.dict("os.environ", server.environment):
            _clients[endpoint] = connect(endpoint, None)
    return _clients[endpoint]


def new_storage(
    server: S3Server, endpoint: str | None = None, prefix: str | None = None
) -> S3Storage:
    """Of its own, or as another process opens `prefix`."""
    place = Place(BUCKET, f"{secrets.token_hex(8)}/" if prefix is None else prefix)
    return S3Storage(client_of(server, endpoint), place)
