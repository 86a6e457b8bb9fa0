"""Every refusal says what happened."""

import json
import re
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from wherry.core import (  # every module of core, so that no refusal is overlooked
    admission,
    digests,
    errors,
    limits,
    upload,
)
from wherry.core.errors import NeverFits, TooLarge, UploadError, every_error

SIZE_REFUSALS = (TooLarge,)
#: The members that RFC 9457 and design give to a problem document.
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "retryable", "hint"}

SAMPLES: dict[Any, object] = {
    int | None: 7,
    int: 413,  # numbers stand in no text but that of a refusal for size
    float: 413.0,
    str: "word",
    str | None: "word",
    tuple[str, ...]: ("video/mp4", "video/webm"),
    tuple[int, ...]: (2, 413),
    tuple[tuple[int, int], ...]: ((0, 2), (5, 7)),
}

ERRORS = sorted(
    (kind for kind in every_error() if kind.__module__ == errors.__name__),
    key=lambda kind: kind.__name__,
)


def sample(kind: type[UploadError]) -> UploadError:
    hints = get_type_hints(kind)
    return kind(**{f.name: SAMPLES[hints[f.name]] for f in fields(kind)})  # type: ignore[arg-type]


each = pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.code)


def test_no_refusal_is_overlooked() -> None:
    modules = (admission, digests, errors, limits, upload)
    named = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, UploadError)
    }
    assert named - {UploadError} == set(ERRORS)


def test_every_code_is_one_errors_own() -> None:
    codes = [kind.code for kind in ERRORS]
    assert sorted(set(codes)) == sorted(codes)


@each
def test_a_code_is_words_with_hyphens(kind: type[UploadError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)


@each
def test_a_refusal_is_a_sentence(kind: type[UploadError]) -> None:
    error = sample(kind)
    assert str(error).strip() == str(error) != ""


@each
def test_only_a_refusal_for_size_has_the_words_that_clients_search_for(
    kind: type[UploadError],
) -> None:
    text = str(sample(kind)).lower()
    assert ("too large" in text or "413" in text) == (kind in SIZE_REFUSALS)


def test_a_refusal_for_space_does_not_suggest_chunks() -> None:
    assert "large" not in str(NeverFits(limit=1, provided=2))


@each
def test_facts_are_the_fields_by_name_and_can_be_sent_as_json(kind: type[UploadError]) -> None:
    error = sample(kind)
    facts = error.facts()
    assert facts == {f.name: getattr(error, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    assert json.loads(json.dumps(facts)).keys() == facts.keys()


@each
def test_no_fact_hides_a_member_of_the_problem_document(kind: type[UploadError]) -> None:
    assert not sample(kind).facts().keys() & PROBLEM_MEMBERS


@each
def test_only_errors_that_may_be_retried_have_a_retry_time(kind: type[UploadError]) -> None:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    assert kind.retryable or "retry_after" not in names


@each
def test_a_refusal_speaks_no_protocols_words(kind: type[UploadError]) -> None:
    text = f"{sample(kind)} {kind.__doc__}".lower()
    assert not re.search(r"\b(init|http|headers?|content-[a-z]+|chunk_index|patch|form)\b", text)


@each
def test_a_refusal_can_be_raised_caught_and_compared(kind: type[UploadError]) -> None:
    with pytest.raises(UploadError) as caught:
        raise sample(kind)
    assert caught.value == sample(kind)
