"""The package `web/`: its own tests, and the file that is made of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.web.conftest import STATIC, WEB, Script

BUILT = STATIC / "chunkedUploadApi.js"


@pytest.mark.parametrize("project", ["core", "page"])
def test_the_tests_in_typescript_pass(script: Script, project: str) -> None:
    script("test", "--project", project)


def test_the_types_fit(script: Script) -> None:
    script("types")


def test_the_file_that_is_checked_in_is_what_the_sources_make(
    script: Script, tmp_path: Path
) -> None:
    script("build:js", "--outDir", str(tmp_path))
    stale = "run: make web, and commit what it changes"
    assert (tmp_path / BUILT.name).read_bytes() == BUILT.read_bytes(), stale


def test_it_has_at_most_14_400_bytes_on_its_way_to_a_browser(
    script: Script,
) -> None:
    assert int(script("size")) <= 14_400


def test_it_depends_on_nothing() -> None:
    assert not re.search(r"^\s*(import|export .* from)\b", BUILT.read_text(), re.MULTILINE)
    package = json.loads((WEB / "package.json").read_text())
    assert "dependencies" not in package


def test_it_says_which_version_it_is() -> None:
    from wherry import __version__

    assert f"Wherry's browser client {__version__}. MIT" in BUILT.read_text()


def test_the_command_prints_it() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "wherry", "js"], capture_output=True, check=True
    ).stdout
    assert printed == BUILT.read_bytes()


def test_tools_are_pinned_and_no_registry_is_named() -> None:
    package = json.loads((WEB / "package.json").read_text())
    versions = package["devDependencies"].values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert not [name for name, facts in lock["packages"].items() if "resolved" in facts]
