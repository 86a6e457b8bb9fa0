"""The network paths that this process knows, by origin.

Rule 1: every client of the process uses them, so that what one upload has learned serves the next.

Rule 2: they are forgotten after a day, so that a proxy whose limit was raised is noticed.
"""

from __future__ import annotations

import time

import httpx2

from wherry.client.chunk_size import NetworkPath

#: How long a path is remembered, in seconds.
REMEMBERED = 86_400.0

_known: dict[tuple[str, str, int | None], tuple[NetworkPath, float]] = {}


def path_to(address: httpx2.URL) -> NetworkPath:
    """What is known of the path to the origin of this address: scheme, host and port."""
    origin = (address.scheme, address.host, address.port)
    path, since = _known.get(origin, (NetworkPath(), time.monotonic()))
    if time.monotonic() - since > REMEMBERED:
        path, since = NetworkPath(), time.monotonic()
    _known[origin] = (path, since)
    return path


def forget_paths() -> None:
    """For tests, and for a process whose network has changed."""
    _known.clear()
