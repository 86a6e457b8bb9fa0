"""Which texts an upload may have: its file name, its content type, its metadata.

Rule 1: every protocol treats texts in the same way. Anything that is not valid Unicode (bytes in
another encoding, half of a surrogate pair) becomes U+FFFD, the replacement character. It is no
reason to refuse a file.

Rule 2: the length of a name is counted in UTF-16 code units, as on the systems of
most users. Files are stored under the upload's id, so the limit of the server's file system
does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import category

from wherry.core.errors import BadRequest

#: The longest file name, in UTF-16 code units.
LONGEST_NAME = 255
#: The longest of all other texts, in characters; the largest number of metadata entries.
LONGEST_TEXT, MAX_METADATA = 1024, 64

#: Characters that change the direction of writing. With them, a name that ends with `.exe` can be
#: displayed as if it ended with `.jpg`.
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def as_unicode(text: str) -> str:
    """The text with U+FFFD in place of everything that is not a character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def check_filename(text: str) -> str:
    """A bare file name, `as_unicode`. Raises `BadRequest` for anything else."""
    name = as_unicode(text)
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise BadRequest("filename", "must be a bare name, without a path")
    # Cc: control characters; Zl and Zp: line and paragraph separators.
    if any(category(c) in ("Cc", "Zl", "Zp") or c in BIDI_CONTROLS for c in name):
        raise BadRequest("filename", "must not contain control characters")
    if len(name.encode("utf-16-le")) > 2 * LONGEST_NAME:
        raise BadRequest("filename", f"must not be longer than {LONGEST_NAME} characters")
    return name


def check_text(text: str, field: str) -> str:
    """The text, `as_unicode`. Raises `BadRequest` if it is too long."""
    if len(text) > LONGEST_TEXT:
        raise BadRequest(field, f"must not be longer than {LONGEST_TEXT} characters")
    return as_unicode(text)


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata, `as_unicode`. Raises `BadRequest` for too many entries or a long one."""
    if len(metadata) > MAX_METADATA:
        raise BadRequest("metadata", f"must not have more than {MAX_METADATA} entries")
    return {check_text(k, "metadata"): check_text(v, "metadata") for k, v in metadata.items()}
