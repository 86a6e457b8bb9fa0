"""Where only one upload may be open at once: the next one waits, and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.application import application, check_arrived, replaced
from tests.browser.conftest import OpenTab
from tests.browser.tab import MiB, Tab
from tests.e2e.conftest import make_file
from tests.examples.edits import ROUTER
from tests.examples.running import Example

pytestmark = [pytest.mark.slow, pytest.mark.nginx]

BY_HAND = "(window.byHand = client.createUpload(file, { onProgress })).start()"


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    changes = replaced(ROUTER, 'data=BACKEND / "uploads"', 'data=BACKEND / "uploads", max_open=1')
    with application(changes=changes) as example:
        yield example


def test_a_second_upload_waits_in_the_line_until_the_first_is_cancelled(
    example: Example, tab: Tab, open_tab: OpenTab, film: Path, tmp_path: Path
) -> None:
    tab.choose(film)
    with tab.slow(8 * MiB):
        tab.begin(BY_HAND)
        tab.wait_for_middle()
        tab.page.evaluate("byHand.pause()")
    second = make_file(tmp_path / "second.mp4", 12 * MiB, seed=2)
    bobs = open_tab(example, "bob")
    bobs.choose(second)
    bobs.begin()
    bobs.wait_for("m.state === 'waiting'")
    bobs.wait_for("m.position === 1")
    assert bobs.chunks() == 0
    tab.page.evaluate("byHand.cancel()")
    assert tab.error()["name"] == "AbortError"
    check_arrived(example, bobs.result(), second)
    states = [moment["state"] for moment in bobs.moments()]
    assert states.index("waiting") < states.index("sending")
    assert max(moment["bytesSafe"] for moment in bobs.moments()) == 12 * MiB
