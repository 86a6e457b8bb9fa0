"""The reference says what the code does: nothing stale, nothing left out."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import DOCS

from wherry.core.limits import Limits
from wherry.core.upload import State
from wherry.router import chunked_upload_router


def load_generator() -> Any:
    path = DOCS / "reference" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    advice = f"{name} is stale: python docs/reference/generate.py"
    assert reference(name) == GENERATOR.PAGES[name](), advice


def test_every_command_has_its_section() -> None:
    commands = [words for words, _ in GENERATOR.commands()]
    assert {"wherry upload", "wherry keys add"} <= set(commands)
    assert re.findall(r"^## (wherry .+)$", reference("cli.md"), re.M) == commands


def test_every_route_is_described(tmp_path: Path) -> None:
    router = chunked_upload_router(
        owner=lambda: "me",
        data=tmp_path,
        assessment=True,
        guests=True,
        shared_reports=True,
        front_ends=True,
    )
    page = reference("chunked-api.md")
    shown = [r for r in router.routes if r.include_in_schema]  # type: ignore[attr-defined]
    routes = {(next(iter(r.methods)), r.path) for r in shown}  # type: ignore[attr-defined]
    assert len(routes) > 10
    missing = {route for route in routes if f"`{route[0]} {route[1]}`" not in page}
    assert not missing


def test_every_state_is_described() -> None:
    states = re.findall(r"^\| `(\w+)` \|.*\|.*\|$", reference("chunked-api.md"), re.M)
    assert states == [state.value for state in State]


def test_the_numbers_of_the_chunked_api_are_those_of_the_code() -> None:
    page, limits = reference("chunked-api.md"), Limits()
    assert f"`min_chunk` ({limits.min_chunk // 1024} KiB)" in page
    assert limits.slot_idle == 120  # "two minutes"
    assert limits.expires_after == 24 * 3600  # "for a day"
