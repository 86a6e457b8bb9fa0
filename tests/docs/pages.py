"""The pages of the documentation, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks in this language of a page below `docs/`, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [body for found, body in _FENCE.findall(text) if found == language]


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def every_page() -> list[Path]:
    """All pages below `docs/`, and those beside it."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
