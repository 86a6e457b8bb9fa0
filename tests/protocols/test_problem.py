"""Every refusal there is has a status, and says what is safe and what to do next."""

from dataclasses import fields

import pytest

from wherry.core.errors import UploadError, every_error
from wherry.protocols.hints import HINTS
from wherry.protocols.problem import STATUS

ERRORS: list[type[UploadError]] = sorted(STATUS, key=lambda kind: kind.__name__)
each = pytest.mark.parametrize("kind", ERRORS, ids=[kind.code for kind in ERRORS])


def test_the_tables_of_statuses_and_of_hints_have_no_hole() -> None:
    assert set(STATUS) == set(HINTS) == set(every_error())


def test_only_a_size_is_refused_with_413() -> None:
    assert [error.code for error, status in STATUS.items() if status == 413] == ["too-large"]


@each
def test_a_hint_is_a_sentence(kind: type[UploadError]) -> None:
    assert HINTS[kind][0].isupper()
    assert HINTS[kind].endswith(".")


@each
def test_no_hint_has_the_words_that_clients_look_for(kind: type[UploadError]) -> None:
    assert "413" not in HINTS[kind]
    assert "too large" not in HINTS[kind].lower()


@each
def test_a_hint_names_retry_after_only_where_the_refusal_has_it(kind: type[UploadError]) -> None:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    assert "retry_after" in names or "retry_after" not in HINTS[kind]
