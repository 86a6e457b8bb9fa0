"""What a reply proves of a body, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wherry.doctor.reading import outcome
from wherry.doctor.reply import End, Reply
from wherry.doctor.searching import Outcome

MiB = 1 << 20
PROBED = {"bytes": 100, "first_byte": 0.0, "headers": {}}


def answer(status: int, body: Any = b"<h1>page</h1>", kind: str = "text/html") -> Reply:
    is_json = isinstance(body, dict)
    kind = "application/problem+json" if is_json and status >= 400 else kind
    content = json.dumps(body).encode() if is_json else body
    return Reply(End.ANSWER, status, {"content-type": kind}, content, sent=100)


def refusal(status: int, code: str) -> Reply:
    return answer(status, {"type": f"urn:wherry:problem:{code}", "code": code})


def early(reply: Reply) -> Reply:
    reply.is_early = True
    return reply


USUAL = answer(200, PROBED)


@pytest.mark.parametrize(
    ("reply", "size", "found"),
    [
        (answer(200, PROBED), 100, Outcome.PASSED),
        (answer(200, PROBED), 101, Outcome.UNKNOWN),
        (answer(413), 100, Outcome.REFUSED),
        (answer(404, b"HTTP Error 404.13 - Not Found"), 100, Outcome.REFUSED),
        # IIS shows its 404.13 only to its own machine. A small body has reached Wherry at this
        # address, so a 404 to a larger one is not about the address.
        (answer(404), 100, Outcome.REFUSED),
        (answer(403), 100, Outcome.REFUSED),
        (answer(502), 100, Outcome.UNKNOWN),
        (Reply(End.RESET), 100, Outcome.REFUSED),
        (Reply(End.TIMEOUT), 100, Outcome.UNKNOWN),
        (early(Reply(End.TIMEOUT)), 100, Outcome.OPEN),
        (refusal(401, "unauthorized"), 100, Outcome.PASSED),
        (early(refusal(401, "unauthorized")), 100, Outcome.OPEN),
        (refusal(413, "too-large"), MiB, Outcome.REFUSED),
        (early(refusal(413, "too-large")), 64 * MiB, Outcome.OPEN),
        (refusal(429, "rate-limited"), 100, Outcome.UNKNOWN),
        (refusal(503, "overloaded"), 100, Outcome.UNKNOWN),
    ],
)
def test_what_a_reply_says(reply: Reply, size: int, found: Outcome) -> None:
    assert outcome(reply, size, USUAL) is found


def test_where_no_wherry_answers_the_usual_answer_counts_as_passed() -> None:
    usual = answer(404)
    assert outcome(answer(404), 100, usual) is Outcome.PASSED
    assert outcome(early(answer(404)), 100, usual) is Outcome.OPEN
    assert outcome(answer(413), 100, usual) is Outcome.REFUSED


def test_a_problem_document_of_somebody_else_is_not_ours() -> None:
    theirs = answer(413, {"type": "about:blank", "code": "unauthorized"})
    assert outcome(theirs, 100, USUAL) is Outcome.REFUSED
