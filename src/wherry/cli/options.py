"""The settings as options of the command line, made from the settings themselves.

Rule 1: what a setting's type says (a size, seconds, a choice) is read from the model's type
hints; its words, its group and its default are read from `settings.py`.

Rule 2: a value stays text until `Settings` parses it, as it does for the environment.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from wherry.cli.failing import failing
from wherry.cli.sizes import size
from wherry.settings import (
    GROUPS,
    WITHOUT_VALUE,
    Bytes,
    RateOfBytes,
    RateOfNumbers,
    Seconds,
    Settings,
)

HOUR, DAY = 3600, 24 * 3600


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with an option for every setting. It gets all of them as `settings`."""

    def run(**options: Any) -> None:
        given = {name: options.pop(name) for name in Settings.model_fields}
        with failing():
            settings = Settings(**{k: v for k, v in given.items() if v is not None})
        command(settings=settings, **options)

    own = inspect.signature(command).parameters
    parameters = [parameter for name, parameter in own.items() if name != "settings"]
    parameters += [_option(name, group) for group, names in GROUPS.items() for name in names]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@cache  # several commands have the same options
def _option(name: str, group: str) -> inspect.Parameter:
    # No default, so that `Settings` finds out whether the environment has a value.
    words = f"{Settings.model_fields[name].description} (default: {default_of(name)})"
    option = typer.Option(help=words, metavar=metavar_of(name), rich_help_panel=group)
    annotation, keyword = Annotated[str | None, option], inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, annotation=annotation, default=None)


def metavar_of(name: str) -> str:
    """What stands for a setting's value: `SIZE`, `SECONDS`, `power-loss|process-crash`."""
    return "|".join(dict.fromkeys(_words_of(_types()[name])))


def default_of(name: str) -> str:
    """A setting's default in words: `5 MiB`, `60 s`, `no limit`."""
    value = Settings.model_fields[name].default
    if value is None or value == ():
        return WITHOUT_VALUE.get(name, "no limit")
    if isinstance(value, bool):
        return str(value).lower()
    metavar = metavar_of(name)
    if metavar == "SIZE":
        return size(value).replace(".0 ", " ")
    if metavar == "SECONDS":
        return f"{value:.0f} s{_as_time(value)}"
    return str(value)


def _as_time(seconds: float) -> str:
    if seconds < HOUR:
        return ""
    return f" = {seconds / HOUR:.0f} h" if seconds < 2 * DAY else f" = {seconds / DAY:.0f} days"


@cache  # every start of `wherry` asks for each setting's type, and one call takes 2 ms
def _types() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _words_of(kind: Any) -> list[str]:
    if kind == Bytes:
        return ["SIZE"]
    if kind == Seconds:
        return ["SECONDS"]
    if kind == RateOfNumbers:
        return ["NUMBER/PERIOD"]
    if kind == RateOfBytes:
        return ["SIZE/PERIOD"]
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    if get_origin(kind) is Annotated:
        return _words_of(get_args(kind)[0])
    plain = {int: "NUMBER", str: "TEXT", Path: "FOLDER", bool: "true|false", NoneType: None}
    if kind in plain:
        word = plain[kind]
        return [word] if word else []
    if get_origin(kind) is tuple:
        return ["LIST"]
    return [word for each in get_args(kind) for word in _words_of(each)]
