"""Every link between pages leads somewhere, and every page can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT, every_page, links, slugs


@pytest.mark.parametrize("path", every_page(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for target, anchor in links(path):
        assert target.exists(), f"there is no {target.relative_to(ROOT)}"
        assert not anchor or anchor in slugs(target), f"no heading #{anchor} in {target.name}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        todo += [target for target, _ in links(path) if target.exists()]
    lost = {str(page.relative_to(ROOT)) for page in DOCS.rglob("*.md")} - {
        str(path.relative_to(ROOT)) for path in reached
    }
    assert not lost
