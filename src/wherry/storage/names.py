"""Which names may become part of a path.

Rule 1: no storage makes a path of anything else. The engine checks before; this
is the second wall, and it is the one that stands next to the file system.
"""

from __future__ import annotations

import re

_UPLOAD_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_-]{1,32}){0,2}")
_ASSESSMENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(jpg|png|webp|vtt)")


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


def check_assessment_id(assessment_id: str) -> str:
    """The id itself. Raises `ValueError` unless it is 1 to 64 letters, digits, `_`, `-`."""
    if not _ASSESSMENT_ID.fullmatch(assessment_id):
        raise ValueError(f"{assessment_id[:80]!r} is not an assessment id")
    return assessment_id


def check_picture_name(name: str) -> str:
    """The name itself: small letters, digits, `-`, `_` and a picture's suffix.

    Raises `ValueError` for anything else.
    """
    if not _PICTURE.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not a picture's name")
    return name
