"""The curve of loudness, moment by moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.assessment.loudness import MOST, Curve


def test_a_stretch_has_the_average_power_of_its_moments() -> None:
    curve = Curve()
    for number in range(2 * MOST):
        curve.take(number * 0.1, -10.0 if number % 2 else -30.0)
    rendered = curve.render()
    assert rendered is not None
    assert rendered["every"] == 0.2
    assert rendered["values"] == [-13.0] * MOST


def test_a_pause_without_samples_is_nothing_to_be_heard() -> None:
    curve = Curve()
    curve.take(0.0, -20.0)
    curve.take(0.3, -20.0)
    assert curve.render() == {"every": 0.1, "values": [-20.0, None, None, -20.0]}


def test_silence_has_no_curve() -> None:
    curve = Curve()
    assert curve.render() is None
    curve.take(0.0, None)
    curve.take(0.1, -120.7)
    assert curve.render() is None


@given(st.lists(st.floats(min_value=-1, max_value=1e7), min_size=1))
def test_it_is_bounded_for_any_times(times: list[float]) -> None:
    curve = Curve()
    for at in sorted(times):
        curve.take(at, -20.0)
    rendered = curve.render()
    assert rendered is not None
    assert len(rendered["values"]) <= MOST
    assert len(rendered["values"]) * rendered["every"] > max(times)
    heard = [value for value in rendered["values"] if value is not None]
    assert heard == [pytest.approx(-20.0, abs=0.1)] * len(heard)
    assert heard
