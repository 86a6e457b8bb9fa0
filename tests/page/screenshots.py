"""Takes a picture of the page in each of its states: `python -m tests.page.screenshots FOLDER`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright
from tests.page.conftest import find_chromium
from tests.page.drawing import draw
from tests.page.scenes import SCENES, Stage

from wherry.testing.server import serving

#: Beside every scene in daylight at 1280 pixels: scene, colours, width.
MORE: list[tuple[str, Literal["light", "dark"], int]] = [
    ("sending", "dark", 1280),
    ("sending", "light", 320),
    ("many", "dark", 1280),
    ("many", "light", 320),
    ("done", "light", 320),
    ("operator", "dark", 1280),
    ("operator", "light", 320),
    ("done", "dark", 1280),
]

#: How high the window is where that shows, in pixels; pictures are of the whole page.
TALL = {"many": 760}


def take(folder: Path) -> None:
    """Write a PNG of each state into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with (
        tempfile.TemporaryDirectory() as name,
        serving(Path(name) / "data", assessment=False) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options)
        pictures = draw(browser, Path(name))
        everything = [(scene, "light", 1280) for scene in SCENES]
        for scene, scheme, width in [*everything, *MORE]:
            suffix = f"-{scheme}" * (scheme == "dark") + f"-{width}" * (width != 1280)
            path = folder / f"{scene}{suffix}.png"
            context = browser.new_context(
                viewport={"width": width, "height": TALL.get(scene, 360)},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion="reduce",
                timezone_id="UTC",
                locale="en-GB",
            )
            stage = Stage(context.new_page(), server.url, Path(name), pictures)
            SCENES[scene](stage)
            stage.page.mouse.move(0, 0)
            if stage.page.locator(".player video").count():
                stage.page.wait_for_timeout(3000)  # a player's wheel turns to the end of its round
            stage.page.screenshot(path=path, full_page=True, animations="disabled")
            stage.close()
            context.close()
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots"))
