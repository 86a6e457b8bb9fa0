"""CORS for the standalone server: pages of other sites that the operator names may use it.

Rule 1: off unless origins are named. An application brings its own, for all of its routes.

Rule 2: what guards is the list of origins. Such a page may send any header, because clients add
their own, and may read every header that a client of any protocol here needs, on refusals, too.

Rule 3: no cookies: the page sends a key or a ticket in a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS")
#: Those that a page may read: of any answer, of files, of tus, of the IETF's protocol.
_ANY = ("Location", "Retry-After", "Allow", "Wherry-Error", "Wherry-Assessment", "X-Request-ID")
_FILES = ("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag")
_TUS = (
    *("Tus-Version", "Tus-Resumable", "Tus-Max-Size", "Tus-Extension", "Tus-Checksum-Algorithm"),
    *("Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata"),
    *("Upload-Concat", "Upload-Expires"),
)
_IETF = (
    *("Upload-Complete", "Upload-Incomplete", "Upload-Limit", "Accept-Patch"),
    *("Upload-Draft-Interop-Version", "Repr-Digest"),
)
EXPOSED = (*_ANY, *_FILES, *_TUS, *_IETF)
#: For how long a browser need not ask again, in seconds; browsers have limits of their own.
MAX_AGE = 24 * 3600


def cors_options(origins: Sequence[str]) -> dict[str, Any]:
    """The options of Starlette's `CORSMiddleware` for pages of these origins; `*`: of any."""
    return {
        "allow_origins": origins,
        "allow_methods": METHODS,
        "allow_headers": ("*",),
        "expose_headers": EXPOSED,
        "max_age": MAX_AGE,
    }
