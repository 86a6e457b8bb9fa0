"""The reference says what the code does: nothing stale, nothing left out."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import DOCS, ROOT

from wherry.core.limits import Limits
from wherry.core.upload import State
from wherry.router import chunked_upload_router

SOURCE = ROOT / "src" / "wherry"


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
    router = chunked_upload_router(owner=lambda: "me", data=tmp_path, assessment=True)
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


# The log.


def logged(path: Path) -> Iterator[str]:
    """The text of every log call in a module, and the event of every `say`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function, said = node.func, node.args[0]
        if isinstance(function, ast.Name) and function.id == "say":
            said = node.args[1]  # after the metrics
        is_say = "say" in (getattr(function, "id", ""), getattr(function, "attr", ""))
        is_log = (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == "log"
        )
        if is_say or is_log:
            yield from (
                part.value
                for part in ast.walk(said)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


def modules() -> Iterator[Path]:
    outside = (SOURCE / "cli", SOURCE / "testing", SOURCE / "client")
    for path in sorted(SOURCE.rglob("*.py")):
        if not any(path.is_relative_to(folder) for folder in outside):
            yield path


def event_of(text: str) -> str | None:
    """The event of a line `event key=value ...`; None for a sentence."""
    match = re.fullmatch(r"([a-z]+(-[a-z]+)*)( (%s|[a-z_]+=).*)?", text)
    return match[1] if match else None


def test_every_event_of_the_log_is_explained() -> None:
    page = reference("log.md")
    texts = {text for path in modules() for text in logged(path)} - {" ", "%s %s"}
    events = {event for text in texts if (event := event_of(text))}
    assert {"created", "refused", "hook-failed", "worker-died"} <= events
    assert not {event for event in events if f"`{event}`" not in page}
    sentences = [text.split("%")[0].strip() for text in texts if not event_of(text)]
    assert not [sentence for sentence in sentences if sentence and sentence not in page]


def test_no_event_is_explained_that_is_never_logged() -> None:
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", reference("log.md"), re.M)
    explained = {event for row in rows for event in re.findall(r"`([a-z-]+)`", row)}
    source = "\n".join(path.read_text(encoding="utf-8") for path in modules())
    states = {state.value for state in State}  # told by their own name
    assert not {e for e in explained - states if f'"{e}' not in source}
