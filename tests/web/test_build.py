"""The package `web/`: its own tests, and the file that is made of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.command import wherry
from tests.web.conftest import STATIC, WEB, Script

BUILT = STATIC / "chunkedUploadApi.js"
#: What applications take, by the options of `wherry js`.
FILES = {
    "chunkedUploadApi": [],
    "useUpload": ["--react"],
    "wherryUpload": ["--element"],
    "uppyWherry": ["--uppy"],
}
#: What Streamlit and Gradio serve of the package, besides some of those.
SERVED = "wherryComponent.js"


@pytest.mark.parametrize("project", ["core", "page"])
def test_the_tests_in_typescript_pass(script: Script, project: str) -> None:
    script("test", "--project", project)


def test_the_types_fit(script: Script) -> None:
    script("types")


def test_the_files_that_are_checked_in_are_what_the_sources_make(
    script: Script, tmp_path: Path
) -> None:
    for made in ("build:files", "build:types"):
        script(made, str(tmp_path))
    stale = "run: make web, and commit what it changes"
    names = {f"{name}.{ending}" for name in FILES for ending in ("js", "d.ts")}
    names.add(SERVED)
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (STATIC / name).read_bytes(), stale


def test_it_has_at_most_14_900_bytes_on_its_way_to_a_browser(
    script: Script,
) -> None:
    assert int(script("size")) <= 14_900


def test_it_depends_on_nothing() -> None:
    assert not re.search(r"^\s*(import|export .* from)\b", BUILT.read_text(), re.MULTILINE)
    package = json.loads((WEB / "package.json").read_text())
    assert "dependencies" not in package


def test_it_says_which_version_it_is() -> None:
    from wherry import __version__

    assert f"Wherry's browser client {__version__}. MIT" in BUILT.read_text()


@pytest.mark.parametrize("name", FILES)
def test_the_command_prints_it(name: str) -> None:
    for ending, more in (("js", []), ("d.ts", ["--types"])):
        printed = wherry("js", *FILES[name], *more).stdout
        assert printed == (STATIC / f"{name}.{ending}").read_text()


def test_the_command_prints_one_file_at_a_time() -> None:
    assert "one file at a time" in wherry("js", "--react", "--uppy", code=2).stderr


def test_tools_are_pinned_and_no_registry_is_named() -> None:
    package = json.loads((WEB / "package.json").read_text())
    versions = package["devDependencies"].values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert not [name for name, facts in lock["packages"].items() if "resolved" in facts]
