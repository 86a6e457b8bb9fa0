"""A cursor comes back from its text as it was, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.pages import Cursor


@given(
    st.floats(0, 1e12),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
)
def test_a_mark_comes_back_from_its_text(created_at: float, id_: str) -> None:
    assert Cursor.parse(str(Cursor(created_at, id_))) == Cursor(created_at, id_)


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1.5", "1.5_", "_abc", "nan_abc", "1e999_abc", "1.5_a b", "--1_abc", "1.5_abc\n"],
)
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Cursor.parse(text)


def test_marks_are_in_the_order_of_time_and_then_of_identifiers() -> None:
    cursors = [Cursor(2.0, "a"), Cursor(1.0, "b"), Cursor(1.0, "a")]
    assert sorted(cursors) == [Cursor(1.0, "a"), Cursor(1.0, "b"), Cursor(2.0, "a")]
