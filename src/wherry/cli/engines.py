"""An engine for the operator's commands, beside a running server or without one."""

# No `from __future__ import annotations`: options are read off the annotations.

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from wherry.cli.failing import failing
from wherry.core.requests import Caller

if TYPE_CHECKING:
    from wherry.engine import Engine
    from wherry.settings import Settings

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

OPERATOR = Caller("operator", operator=True)


def with_engine(where: "Path | Settings", act: Callable[["Engine"], Awaitable[T]]) -> T:
    with failing():
        from wherry.app import App  # noqa: PLC0415
        from wherry.settings import Settings  # noqa: PLC0415

        settings = where if isinstance(where, Settings) else Settings(data=where)

        async def run() -> T:
            async with App(settings).beside() as engine:
                return await act(engine)

        is_all_elsewhere = settings.database is not None and settings.storage is not None
        if not is_all_elsewhere and not settings.data.is_dir():
            raise FileNotFoundError(f"{settings.data} is not a folder; name it with --data")
        return asyncio.run(run())
