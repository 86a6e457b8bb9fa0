"""Every state that an upload can reach, and every request that leads from one to another.

`Upload` is a frozen value, so with a tiny limit its states can be listed, not
sampled: walk from a new upload along every request until nothing new appears.
Two requests compete (`a` and `b`), and every part has the CRC of its own bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from math import inf
from typing import Any, NamedTuple

from wherry.core.digests import Digest, crc64
from wherry.core.errors import UploadError
from wherry.core.limits import Limits
from wherry.core.ranges import Part, Range
from wherry.core.upload import (
    GONE,
    State,
    Upload,
)

LIMIT = 3
DATA = b"abc"
TOKENS = ("a", "b")
RANGES = [Range(start, end) for start, end in combinations(range(LIMIT + 2), 2)]
RIGHT, WRONG = Digest.of_crc(crc64(DATA)), Digest.of_crc(1)

# The clock: created at 0, bytes come at 1, completions are asked for at 2 or 3 and last 1.
TRAFFIC_AT, EXPIRES_AFTER = 1.0, 2.0
COMPLETED_AT = (2.0, 3.0)
MUCH_LATER = 9.0

ENDED = GONE | {State.COMPLETE}


class Action(NamedTuple):
    """One method of `Upload` with its arguments."""

    name: str
    args: tuple[Any, ...] = ()


class Step(NamedTuple):
    before: Upload
    name: str
    args: tuple[Any, ...]
    after: Upload


class Refusal(NamedTuple):
    before: Upload
    name: str
    args: tuple[Any, ...]
    error: UploadError


ALWAYS = [
    *(Action("release", (token,)) for token in TOKENS),
    *(Action("declare_length", (length,)) for length in range(LIMIT + 2)),
    *(Action("begin_completion", (t, now, now + 1)) for t in TOKENS for now in COMPLETED_AT),
    *(Action("renew", (token, 4.0)) for token in TOKENS),
    *(Action("interrupt", (token,)) for token in TOKENS),
    *(
        Action("begin_call", (token, 3.0, is_named))
        for token in TOKENS
        for is_named in (False, True)
    ),
    Action("end_call"),
    Action("announce_fingerprint", (None,)),
    *(Action("complete", (token, f"assessment-{token}")) for token in TOKENS),
    *(Action("complete_at_once", (now, "assessment-once")) for now in COMPLETED_AT),
    *(Action("announce_digest", (digest,)) for digest in (None, RIGHT, WRONG)),
    *(Action("cancel", (now,)) for now in (*COMPLETED_AT, MUCH_LATER)),
    *(Action("expire", (now, EXPIRES_AFTER)) for now in (0.0, 1.0, 2.0, 3.0)),
    *(Action("discard", (now,)) for now in (5.0, 6.0)),
    Action("enter_queue", (1.0,)),
    Action("admit", (0.0, 1.0)),
    *(Action("forfeit", (now,)) for now in (0.0, 1.0)),
    *(Action("vanish", (MUCH_LATER, token)) for token in (None, *TOKENS)),
    *(Action("fail", ("type-refused", MUCH_LATER, token)) for token in (None, *TOKENS)),
    Action("keep_slot", (0.0, Limits(slot_idle=1.0, turn=1.0))),
]


def part(where: Range) -> Part:
    return Part(where.start, where.end, crc64(DATA[where.start : where.end]), TRAFFIC_AT)


def actions(upload: Upload) -> Iterator[Action]:
    """Everything that may be asked; every request has a token of its own, and leases once."""
    yield from ALWAYS
    for token in TOKENS:
        mine = next((lease.range for lease in upload.leases if lease.token == token), None)
        if mine is None:
            yield from (Action("lease", (want, token, TRAFFIC_AT)) for want in RANGES)
        gaps = upload.received.missing(mine or Range(0, LIMIT))
        yield Action("record", (token, tuple(map(part, gaps))))
        for want in RANGES:
            if any(gap.start <= want.start < want.end <= gap.end for gap in gaps):
                yield Action("record", (token, (part(want),)))


@cache
def walk() -> tuple[list[Step], list[Refusal]]:
    new = Upload("u", owner="o", filename="f", limit=LIMIT, chunk_size=2)
    waiting = replace(new, state=State.WAITING, queued_at=0.0)
    seen, todo = {new, waiting}, [new, waiting]
    taken, refused = [], []
    while todo:
        before = todo.pop()
        for action in actions(before):
            act: Callable[..., Upload] = getattr(before, action.name)
            try:
                after = act(*action.args)
            except UploadError as error:
                refused.append(Refusal(before, *action, error.with_traceback(None)))
                continue
            taken.append(Step(before, *action, after))
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return taken, refused


def steps(name: str | None = None) -> list[Step]:
    return [step for step in walk()[0] if name in (None, step.name)]


def refusals(*names: str) -> list[Refusal]:
    return [refusal for refusal in walk()[1] if not names or refusal.name in names]


@cache
def states() -> set[Upload]:
    return {step.after for step in steps()} | {step.before for step in steps()}


def indices(upload: Upload) -> set[int]:
    """Which bytes are received."""
    return {i for part in upload.received.parts for i in range(part.start, part.end)}


def is_being_completed(upload: Upload, now: float, latest: float = inf) -> bool:
    return upload.completion is not None and now < upload.completion.until <= latest
