"""The page that is checked in is what its sources make. Its tests are run by tests/web."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.web.conftest import STATIC, Script

BUILT = STATIC / "page"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_page_that_is_checked_in_is_what_the_sources_make(
    script: Script, tmp_path: Path
) -> None:
    script("build:page", "--outDir", str(tmp_path / "page"), "--emptyOutDir")
    fresh, kept = contents(tmp_path / "page"), contents(BUILT)
    stale = "run: make web, and commit what it changes"
    assert sorted(fresh) == sorted(kept), stale
    assert [name for name in fresh if fresh[name] != kept[name]] == [], stale


def test_it_is_small() -> None:
    files = contents(BUILT)
    document = files["page.html"].decode()
    first = {name: body for name, body in files.items() if name in document} | {
        "page.html": files["page.html"]
    }
    assert sum(len(gzip.compress(body)) for body in first.values()) < 64 * 1024
    later = [name for name in files if name.endswith(".js") and name not in first]
    assert all(len(gzip.compress(files[name])) < 8 * 1024 for name in later)
    assert sorted(name.split("/")[1].split("-")[0] for name in later) == [
        "Examination",
        "Operator",
        "ar",
        "de",
        "mediaWorker",
        "operatorAr",
        "operatorDe",
    ]


def test_the_licences_of_what_it_brings_along_are_beside_it() -> None:
    licences = (BUILT / "LICENSES.md").read_text()
    assert "## preact - " in licences
