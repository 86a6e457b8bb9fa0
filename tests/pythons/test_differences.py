"""What two reports say differently is seen, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from tests.pythons.reports import differences


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"a": [1.01, {"b": "x"}]}, []),
        ({"a": [1.03, {"b": "x"}]}, [(".a.0", 1.0, 1.03)]),
        ({"a": [1.0, {"b": "y"}]}, [(".a.1.b", "x", "y")]),
        ({"a": [1.0]}, [(".a", [1.0, {"b": "x"}], [1.0])]),
        ({"a": [1.0, {"b": "x"}], "c": 0}, [(".c", None, 0)]),
        ({"a": [None, {"b": "x"}]}, [(".a.0", 1.0, None)]),
    ],
)
def test_what_differs_is_seen(other: Any, found: list[Any]) -> None:
    assert list(differences({"a": [1.0, {"b": "x"}]}, other)) == found
