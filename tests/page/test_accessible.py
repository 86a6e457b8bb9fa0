"""Everybody can use the page: axe-core finds nothing in any state, and nothing is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.page.scenes import SCENES, Stage

from wherry.testing.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOOKS = [("light", 1280), ("dark", 1280), ("light", 320)]

FIND = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] })
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 200)}`))
}
"""


@pytest.fixture
def stage(page: Page, server: Server, tmp_path: Path, pictures: Path) -> Iterator[Stage]:
    stage = Stage(page, server.url, tmp_path, pictures, at_most=2)
    yield stage
    stage.close()


@pytest.mark.parametrize("name", SCENES)
def test_axe_finds_nothing(name: str, page: Page, stage: Stage, axe: str) -> None:
    SCENES[name](stage)
    page.clock.resume()
    page.evaluate(axe)
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(FIND) == [], f"{scheme}, {width} pixels wide"
        inside: Any = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert inside, f"{width} pixels are too narrow"
