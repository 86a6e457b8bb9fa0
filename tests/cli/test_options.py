"""The options of `wherry serve` say of each setting what it is, in words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from wherry.cli import app
from wherry.cli.options import default_of, metavar_of
from wherry.cli.serving import DATA
from wherry.core.limits import Limits
from wherry.settings import GROUPS, Settings

SERVE: Any = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]


def test_every_setting_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(Settings.model_fields)


def test_every_setting_is_an_option_of_its_name() -> None:
    options = {option.name: option.opts for option in SERVE.params}
    for name in Settings.model_fields:
        assert options[name] == [f"--{name.replace('_', '-')}"]


def test_the_help_shows_the_groups_and_no_value_of_python() -> None:
    shown = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).stdout
    for group in GROUPS:
        assert f"─ {group} ─" in shown
    for words in ("(default: no limit)", "(default: all)", "(default: 5 MiB)"):
        assert words in shown
    for riddle in ("None", "()", "typing", "False", "True"):
        assert riddle not in shown


@pytest.mark.parametrize(
    ("name", "metavar", "default"),
    [
        ("data", "FOLDER", "wherry-data"),
        ("durability", "power-loss|process-crash", "power-loss"),
        ("max_size", "SIZE", "no limit"),
        ("allowed_types", "LIST", "all"),
        ("keep_files", "SECONDS", "for ever"),
        ("chunk_size", "SIZE", "5 MiB"),
        ("max_body", "SIZE|host", "as large as a chunk or a file"),
        ("chunk_timeout", "SECONDS", "60 s"),
        ("expires_after", "SECONDS", "86400 s = 24 h"),
        ("keep_records", "SECONDS", "604800 s = 7 days"),
        ("max_open", "NUMBER", "10"),
        ("assessment", "true|false", "if the extra `assessment` is installed"),
        ("policy", "TEXT", "web"),
    ],
)
def test_what_stands_for_a_value_and_the_default_are_words(
    name: str, metavar: str, default: str
) -> None:
    assert (metavar_of(name), default_of(name)) == (metavar, default)


def test_a_default_is_the_same_wherever_it_is_read() -> None:
    assert asdict(Settings().limits) == asdict(Limits())
    assert Settings().data == DATA
