"""Through an nginx that lets 6 MiB pass, a whole chunk: nothing is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.application import application, check_arrived, refusals_of_nginx
from tests.browser.conftest import CONSOLE_TEST
from tests.browser.tab import MiB, Tab
from tests.examples.running import Example

pytestmark = [pytest.mark.slow, pytest.mark.nginx]


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    with application(limit="6m") as example:
        yield example


def test_the_console_test_meets_no_refusal_at_all(
    example: Example, tab: Tab, tmp_path: Path
) -> None:
    same = tmp_path / "test.mp4"
    same.write_bytes(bytes(50 * MiB))
    check_arrived(example, tab.page.evaluate(CONSOLE_TEST), same)
    assert tab.refused() == 0
    assert refusals_of_nginx(example) == 0
    assert not any("413" in said for said in tab.said)
