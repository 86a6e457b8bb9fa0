"""Every refusal there is has a status, and says what happened and what to do."""

from wherry.core.errors import every_error
from wherry.protocols.problem import STATUS


def test_the_table_of_statuses_has_no_hole() -> None:
    assert set(STATUS) == set(every_error())


def test_only_a_size_is_refused_with_413() -> None:
    assert [error.code for error, status in STATUS.items() if status == 413] == ["too-large"]
