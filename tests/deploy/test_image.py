"""What is true of the Dockerfile without building it. `make test-deploy` builds and runs it."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from tests.deploy.programs import DEPLOY, ROOT

from wherry.settings import Settings

DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
_VARIABLE = re.compile(r"\bWHERRY_[A-Z0-9_]+")
#: Variables of ours that are no settings: of the client.
CLIENT = {"WHERRY_API_KEY"}


def test_everything_that_is_copied_is_in_the_context() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied: set[str] = set()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M):
        copied |= set(sources.split())
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_has_every_extra_of_the_server() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [extras] = re.findall(r"wherry-\*\.whl\)\[([\w,]+)\]", DOCKERFILE)
    in_other_programs = {"gradio", "streamlit"}
    assert set(extras.split(",")) == set(project["optional-dependencies"]) - in_other_programs


def test_what_the_wheel_is_made_of_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in (project["readme"], *project["license-files"]):
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", DOCKERFILE, re.M)


def test_every_variable_of_ours_in_deploy_is_a_setting() -> None:
    known = {f"WHERRY_{name.upper()}" for name in Settings.model_fields} | CLIENT
    found = {
        (path.relative_to(ROOT).as_posix(), variable)
        for path in files()
        for variable in _VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    # `WHERRY_{{ upper $name }}` of the chart is no name.
    assert {variable for _, variable in found} >= {"WHERRY_DATA", "WHERRY_STORAGE"}
    assert not [pair for pair in found if pair[1] not in known]


def files() -> list[Path]:
    return [
        path
        for path in sorted(DEPLOY.rglob("*"))
        if path.is_file() and not fnmatch(path.name, "*.pyc")
    ]
