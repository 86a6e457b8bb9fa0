"""Every dependency is explained, and nothing else is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "explanation" / "dependencies.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: Iterable[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {match[0].lower() for match in found if match} - {"wherry"}


def listed(title: str) -> set[str]:
    """The packages in the table below the heading that begins so."""
    [section] = re.findall(rf"^## {re.escape(title)}.*?$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.M))


def test_every_dependency_has_its_line_and_no_line_is_left_over() -> None:
    project = PROJECT["project"]
    assert listed("`wherry`:") == names(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        assert listed(f"`wherry[{extra}]`:") == names(requirements), extra
    development = [r for group in PROJECT["dependency-groups"].values() for r in group]
    assert listed("For development") == names([*development, *PROJECT["build-system"]["requires"]])
