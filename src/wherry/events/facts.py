"""The facts of events, by their public names."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from wherry.core.digests import Digest


class Facts(TypedDict, total=False):
    """Every fact that an event may have. Times are seconds, sizes bytes."""

    announced: int | None
    assessment_id: str | None
    at: int
    attempt: int
    bytes: int | str
    code: str | int | None
    command: str
    data: Path
    delivery_id: str
    digest: Digest | None
    executor: str
    hook: str
    host: str
    method: str
    owner: str
    owners: int
    passes: int | None
    pid: int | None
    place: str
    problem: str | None
    received: int
    refused_by: str | None
    refuses: int | None
    seconds: float
    state: str
    status: int
    step: str
    task: str
    ticket_id: str
    type: str
    upload_id: str
    uploads: int
    url: str
    verdict: str
    waited: float


#: The facts of every event about an upload that is known: `log_event` adds them.
UPLOAD = ("upload_id", "owner", "bytes")
#: The facts of every event about a webhook. `url`: without its path.
WEBHOOK = ("delivery_id", "type", "url", "attempt")
