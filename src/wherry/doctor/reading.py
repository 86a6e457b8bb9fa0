"""What a reply says: pure functions from a reply to what it proves.

Rule 1: an answer counts as Wherry's only if it is a problem document with a code of ours, or the
answer of the probe. Everything else is somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from wherry.doctor.recognition import Proxy, find_refusing, merge, recognise
from wherry.doctor.reply import End, Reply
from wherry.doctor.searching import Outcome
from wherry.filters import FILTERED

#: The largest body that the probe takes.
PROBE_LIMIT = 32 << 20


def read_probe(reply: Reply) -> Mapping[str, Any] | None:
    """What arrived behind the proxy; None if this is no answer of a probe."""
    found = _json(reply) if reply.status == 200 else None
    if found is None or "first_byte" not in found or "headers" not in found:
        return None
    return found


def read_code(reply: Reply) -> str | None:
    """The code of a refusal of Wherry's; None if it is none."""
    if reply.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
        return None
    found = _json(reply) or {}
    is_ours = str(found.get("type", "")).startswith("urn:wherry:problem:")
    return str(found["code"]) if is_ours and "code" in found else None


def is_wherrys(reply: Reply) -> bool:
    return read_probe(reply) is not None or read_code(reply) is not None


def is_filters_page(reply: Reply) -> bool:
    """Whether this may be the page of a filter that refuses the body."""
    return reply.status in FILTERED and not is_wherrys(reply)


def is_authorised(usual: Reply) -> bool | None:
    """None if nobody asked for a login, and no probe answered."""
    if read_probe(usual) is not None:
        return True
    return False if read_code(usual) == "unauthorized" or usual.status in (401, 403) else None


def is_refusal_of_size(reply: Reply) -> bool:
    """Whether the answer says, by itself, that the body is too large, and is not Wherry's."""
    if is_wherrys(reply):
        return False
    return reply.status == 413 or (reply.status == 404 and b"404.13" in reply.body)


def outcome(reply: Reply, size: int, usual: Reply) -> Outcome:
    """What `reply` says of a body of `size` bytes. `usual`: the reply to a small one."""
    if is_refusal_of_size(reply):
        return Outcome.REFUSED
    if (code := read_code(reply)) is not None:
        return _outcome_of_refusal(code, reply, size)
    if (probe := read_probe(reply)) is not None:
        return Outcome.PASSED if probe["bytes"] == size else Outcome.UNKNOWN
    if reply.end in (End.RESET, End.CLOSED):
        return Outcome.REFUSED if usual.end is End.ANSWER else Outcome.UNKNOWN
    if reply.end is not End.ANSWER:
        return Outcome.OPEN if reply.end is End.TIMEOUT and reply.is_early else Outcome.UNKNOWN
    if reply.status == usual.status:
        return Outcome.OPEN if reply.is_early else Outcome.PASSED
    return Outcome.REFUSED if reply.status in FILTERED else Outcome.UNKNOWN


def _outcome_of_refusal(code: str, reply: Reply, size: int) -> Outcome:
    """Of a refusal by Wherry itself, which the request has reached."""
    if code == "too-large":
        # The probe's own limit says nothing of the path; the application's own one does.
        return Outcome.OPEN if size > PROBE_LIMIT else Outcome.REFUSED
    if code in ("rate-limited", "overloaded", "stopping", "body-cut", "body-stalled"):
        return Outcome.UNKNOWN
    return Outcome.OPEN if reply.is_early else Outcome.PASSED


def find_proxies(usual: Reply, refusal: Reply | None) -> tuple[Proxy, ...]:
    """All that show themselves, from the outside inwards."""
    arrived = tuple((read_probe(usual) or {}).get("headers", {}))
    page = b"" if is_wherrys(usual) else usual.body
    found = recognise(usual.headers, page, arrived)
    if refusal is None:
        return found
    return merge(found, recognise(refusal.headers, refusal.body, arrived))


def find_who_refuses(refusal: Reply, proxies: tuple[Proxy, ...]) -> str | None:
    """`wherry`, or the name of a proxy; None if it cannot be told."""
    if read_code(refusal) is not None:
        return "wherry"
    return find_refusing(refusal.headers, refusal.body, proxies)


def is_answer_collected(slow: Reply) -> bool | None:
    """Whether an answer that was asked to come within a second came at once."""
    return None if read_probe(slow) is None else slow.over_at - slow.at < 0.4


def allows(reply: Reply, origin: str) -> bool | None:
    """Whether a page of that origin may read it; None if it is no answer."""
    if reply.end is not End.ANSWER:
        return None
    return reply.headers.get("access-control-allow-origin") in ("*", origin)


def skew(reply: Reply, now: float) -> float | None:
    """How many seconds the answering clock is ahead of `now`, in seconds since 1970."""
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return round(theirs - now, 0)


def describe(reply: Reply) -> str:
    """How an exchange ended that brought no answer."""
    return {
        End.RESET: "the connection was reset before an answer came",
        End.CLOSED: "the connection was closed before an answer came",
        End.GARBLED: "the answer is not HTTP",
    }.get(reply.end, "no answer came in time")


def _json(reply: Reply) -> Mapping[str, Any] | None:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
