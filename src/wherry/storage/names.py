"""Which names may become part of a path.

Rule 1: no storage makes a path of anything else. The engine checks before; this
is the second wall, and it is the one that stands next to the file system.
"""

from __future__ import annotations

import re

_UPLOAD_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_-]{1,32}){0,2}")


def check_upload_id(upload_id: str) -> str:
    """The id itself. Raises `ValueError` unless it is 16 to 64 letters, digits, `_`, `-`."""
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise ValueError(f"{upload_id[:80]!r} is not an upload id")
    return upload_id


def check_suffix(suffix: str) -> str:
    """The suffix itself: empty, `.mp4` or `.tar.gz`. Raises `ValueError` for anything else."""
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"{suffix[:80]!r} is not a file name's suffix")
    return suffix
