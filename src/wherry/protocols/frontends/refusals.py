"""Refusals as these front ends understand them.

Rule 1: a refusal that the same request can overcome has a status that none of them takes for final,
and any other refusal one that is final. Resumable.js repeats a chunk up to a hundred times after
any status but these.

Rule 2: they repeat at once, so a refusal that can be overcome waits (`waiting.unhurried`).
"""

from __future__ import annotations

from wherry.core.errors import UploadError
from wherry.protocols.problem import STATUS

#: `permanentErrors` of Resumable.js 1.1.
FINAL = frozenset({400, 401, 403, 404, 409, 415, 500, 501})


def status_of(error: type[UploadError]) -> int:
    status = STATUS[error]
    if error.retryable:
        return 503 if status in FINAL else status
    return status if status in FINAL else 400
