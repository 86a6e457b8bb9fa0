"""An HTTP answer becomes a value or a typed error, whatever is in it."""

from __future__ import annotations

import json
from contextlib import suppress
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.client import errors
from wherry.client.answers import (
    Answer,
    parse_assessment,
    parse_error,
    parse_missing,
    parse_retry_after,
    parse_upload,
)
from wherry.client.errors import ClientError, UnexpectedAnswer

NOW = 1_800_000_000.0
PROBLEM = {"content-type": "application/problem+json"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["upload_id", "state", "received", "limits", "steps", "size", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


def answer(status: int, value: object, **headers: str) -> Answer:
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, fields, json.dumps(value).encode(), NOW)


def problem(status: int, **facts: Any) -> ClientError:
    body = {"type": "urn:wherry:problem:a-code", **facts}
    return parse_error(Answer(status, PROBLEM, json.dumps(body).encode(), NOW))


def page(status: int, body: bytes = b"<html>", **headers: str) -> ClientError:
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return parse_error(Answer(status, {"content-type": "text/html"} | fields, body, NOW))


@settings(deadline=None)
@given(json_values.map(json.dumps).map(str.encode) | st.binary(max_size=50))
def test_any_body_is_a_value_or_an_unexpected_answer(body: bytes) -> None:
    for parse in (parse_upload, parse_missing, parse_assessment):
        with suppress(UnexpectedAnswer):
            parse(Answer(200, {}, body, NOW))


@settings(deadline=None)
@given(
    st.integers(300, 599),
    json_values.map(json.dumps).map(str.encode) | st.binary(max_size=50),
    st.sampled_from(["application/problem+json", "application/json", "text/html", ""]),
    st.text(max_size=12),
)
def test_any_refusal_is_an_error_with_its_status(
    status: int, body: bytes, kind: str, retry_after: str
) -> None:
    headers = {"content-type": kind, "retry-after": retry_after}
    assert parse_error(Answer(status, headers, body, NOW)).status == status or status == 404


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthorized", errors.Unauthorized),
        (403, "foreign-origin", errors.Unauthorized),
        (404, "upload-not-found", errors.UploadGone),
        (404, "not-found", errors.NotFound),
        (410, "upload-gone", errors.UploadGone),
        (413, "too-large", errors.TooLarge),
        (415, "type-refused", errors.Refused),
        (422, "content-refused", errors.Refused),
        (500, "storage-failed", errors.ServerFailed),
        (503, "no-room", errors.NoRoom),
        (503, "busy", errors.Busy),
        (507, "never-fits", errors.NoSpace),
    ],
)
def test_a_problem_document_names_its_error(
    status: int, code: str, kind: type[ClientError]
) -> None:
    error = problem(status, code=code, detail="why", hint="what now", limit=5)
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.hint) == (status, code, "why", "what now")
    assert error.facts["limit"] == 5


def test_a_problem_document_says_itself_whether_to_try_again() -> None:
    assert problem(409, code="superseded", retryable=True).retryable
    assert not problem(503, code="odd", retryable=False).retryable
    assert problem(503).retryable


def test_missing_bytes_are_told_from_other_conflicts() -> None:
    assert type(problem(409, code="bytes-missing", missing=[[0, 5]])) is errors.BytesMissing
    assert type(problem(409, code="superseded")) is errors.Refused


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 524])
def test_a_proxys_trouble_is_worth_another_try(status: int) -> None:
    assert page(status).retryable


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 410, 501, 505])
def test_a_proxys_refusal_is_not(status: int) -> None:
    assert not page(status).retryable


def test_a_proxys_413_is_a_refusal_for_size_and_iis_says_it_with_404() -> None:
    assert type(page(413)) is errors.TooLarge
    assert type(page(404, b"HTTP Error 404.13 - Not Found")) is errors.TooLarge
    assert type(page(404)) is errors.NotFound


def test_a_proxys_410_does_not_say_that_an_upload_is_gone() -> None:
    assert type(page(410)) is errors.NotFound


def test_only_a_refusal_for_size_says_so_in_its_text() -> None:
    for status in range(300, 600):
        text = str(page(status))
        assert ("413" in text or "too large" in text) == (status == 413)


def test_an_applications_own_words_are_passed_on() -> None:
    error = parse_error(answer(403, {"detail": "this request comes from another site"}))
    assert type(error) is errors.Unauthorized
    assert "refuses the request (403). It says: this request comes from another site" in str(error)
    assert "asks for another login" not in str(error)
    assert error.facts == {"detail": "this request comes from another site"}
    assert "sign in" in parse_error(answer(401, {"detail": "sign in"})).detail
    assert "It says: Not Found. Check the address" in str(
        parse_error(answer(404, {"detail": "Not Found"}))
    )
    assert "It says: who is it? The" in str(parse_error(answer(401, {"detail": "who is it?"})))


@pytest.mark.parametrize(
    "said", ["room 413 is closed", "Too large a group", "x" * 201, "", 5, None]
)
def test_words_that_would_mislead_stay_out_of_the_text(said: object) -> None:
    error = parse_error(answer(403, {"detail": said}))
    assert "It says" not in str(error)
    assert error.facts == ({"detail": said} if said and isinstance(said, str) else {})


def test_a_redirect_says_where_to() -> None:
    assert "https://there/" in str(page(308, location="https://there/"))


def test_retry_after_is_seconds_or_a_date() -> None:
    assert parse_retry_after("17", NOW) == 17
    assert parse_retry_after(formatdate(NOW + 90, usegmt=True), NOW) == 90
    assert parse_retry_after(formatdate(NOW - 90, usegmt=True), NOW) == 0
    assert parse_retry_after("soon", NOW) is None
    assert parse_retry_after("-1", NOW) is None


def test_retry_after_is_read_from_the_body_before_the_header() -> None:
    ours = {"type": "urn:wherry:problem:no-room", "code": "no-room", "retry_after": 5}
    body = json.dumps(ours).encode()
    assert parse_error(Answer(503, PROBLEM, body, NOW)).retry_after == 5
    with_header = PROBLEM | {"retry-after": "9"}
    assert parse_error(Answer(503, with_header, body, NOW)).retry_after == 5


def test_an_init_answer_is_read_in_full() -> None:
    opened = parse_upload(
        answer(
            201,
            {
                "upload_id": "u",
                "state": "receiving",
                "chunk_size": 5,
                "limits": {"max_size": None, "min_chunk": 3, "max_chunk": 9},
                "concurrency": 2,
                "received": [[0, 4], [6, 8]],
                "received_bytes": 6,
            },
        )
    )
    assert (opened.chunk_size, opened.min_chunk, opened.concurrency) == (5, 3, 2)
    assert [(r.start, r.end) for r in opened.received] == [(0, 4), (6, 8)]


def test_a_waiting_answer_carries_place_and_pause() -> None:
    waiting = parse_upload(
        answer(202, {"upload_id": "u", "state": "waiting", "position": 3, "retry_after": 7})
    )
    assert (waiting.state, waiting.position, waiting.retry_after) == ("waiting", 3, 7)
