"""What texts that come with an upload may be: its name, its type, what it is described by.

Rule 1: one reading for every way in. What is no Unicode, bytes of another encoding or half of
a surrogate pair, is read as U+FFFD, the replacement character, and refuses no file.

Rule 2: a name is counted as the systems count it that people name files on: in UTF-16 code
units. Files are stored under their upload's id, so no file system has a say.
"""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import category

from wherry.core.errors import BadRequest

#: The longest file name, in UTF-16 code units.
LONGEST_NAME = 255
#: The longest of other texts, in characters, and how many of them describe a file.
LONGEST_TEXT, MOST_METADATA = 1024, 64

#: Characters that turn the direction of writing: `gpj.exe` can be made to look like a picture.
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def as_unicode(text: str) -> str:
    """The text with U+FFFD in the place of what is no character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def check_filename(text: str) -> str:
    """A bare file name, `as_unicode`. Raises `BadRequest` for anything else."""
    name = as_unicode(text)
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise BadRequest("filename", "must be a bare name, without a path")
    # Cc: control characters; Zl and Zp: ends of lines.
    if any(category(c) in ("Cc", "Zl", "Zp") or c in TURNS for c in name):
        raise BadRequest("filename", "must not contain control characters")
    if len(name.encode("utf-16-le")) > 2 * LONGEST_NAME:
        raise BadRequest("filename", f"must not be longer than {LONGEST_NAME} characters")
    return name


def check_text(text: str, field: str) -> str:
    """Any text that is not too long, `as_unicode`. Raises `BadRequest`."""
    if len(text) > LONGEST_TEXT:
        raise BadRequest(field, f"must not be longer than {LONGEST_TEXT} characters")
    return as_unicode(text)


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Raises `BadRequest` for too many, or one that is too long."""
    if len(metadata) > MOST_METADATA:
        raise BadRequest("metadata", f"must not have more than {MOST_METADATA} entries")
    return {check_text(k, "metadata"): check_text(v, "metadata") for k, v in metadata.items()}
