"""What the table of pages says of figures that are there, and of those that are not."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from bench.pages.__main__ import Found, render
from bench.pages.products import PRODUCTS

OURS, UPPY, FILEPOND = (product.title for product in PRODUCTS)


def cells(found: Found) -> list[str]:
    return [cell.strip() for cell in render(found).splitlines()[-1].strip("|").split("|")]


def test_a_row_has_the_median_of_each_page_and_the_ratio_to_uppy() -> None:
    found: Found = {"s": {OURS: [1.0, 9.0, 2.0], UPPY: [4.0], FILEPOND: [30.4]}}
    assert cells(found) == ["s", "2", "4", "30", "0.50"]


def test_a_page_without_a_figure_is_said_to_have_not_ended_and_gives_no_ratio() -> None:
    found: Found = {"s": {OURS: [2.5], UPPY: [], FILEPOND: ["fails"]}}
    assert cells(found) == ["s", "2.5", "not within 150 s", "fails", ""]
