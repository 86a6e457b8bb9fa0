"""`wherry top`: what a server does at the moment, for its operator."""

# No `from __future__ import annotations`: the options are read off the annotations.

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from wherry.cli.engines import Json, with_engine
from wherry.cli.failing import (
    TRY_LATER,
    WRONG_USAGE,
    exit_code_of,
    failing,
    sentence_of,
)
from wherry.cli.serving import DATA, Data
from wherry.cli.upload import Ca, Insecure, Key, OptionalUrl

if TYPE_CHECKING:
    from wherry.cli.looking import Looking, Speeds
    from wherry.cli.top_screen import TopScreen
    from wherry.engine import Engine

#: Seconds between two looks.
EVERY = 1.0


def register(app: typer.Typer) -> None:
    app.command()(top)


def top(
    url: OptionalUrl = None,
    *,
    data: Data = DATA,
    key: Key = None,
    ca: Ca = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Show uploads in flight, queue, storage, speed, paths and failures, each second anew.

    For operators. Press q to quit. Without a terminal, and with --json, the command looks for one
    second, prints what it has found, and ends.
    """
    if url is None:

        async def beside(engine: "Engine") -> None:
            from wherry.cli.looking import at_records  # noqa: PLC0415

            await _show(at_records(engine), str(data), as_json=as_json)

        with_engine(data, beside)
        return
    from wherry.cli.asking import for_operators, hint_at_key  # noqa: PLC0415
    from wherry.cli.servers import find_server  # noqa: PLC0415
    from wherry.client import AsyncClient, Unauthorized  # noqa: PLC0415

    with failing(code=WRONG_USAGE):
        found = find_server(url, key=key, ca=ca, insecure=insecure)
        client = AsyncClient(found.url, key=found.key, verify=found.verify)

    async def remote() -> None:
        from wherry.cli.looking import at_server  # noqa: PLC0415

        async with client:
            await _show(at_server(client), found.url, as_json=as_json)

    with failing():
        try:
            with for_operators():
                asyncio.run(remote())
        except Unauthorized as error:
            hint_at_key(error, found.key)
            raise


async def _show(look: "Looking", where: str, *, as_json: bool) -> None:
    from wherry.cli.looking import Speeds, as_object  # noqa: PLC0415
    from wherry.cli.top_screen import TopScreen  # noqa: PLC0415

    speeds, screen = Speeds(), TopScreen(where)
    if screen.is_terminal and not as_json:
        await _until_q(_follow(look, screen, speeds))
        return
    speeds.add(await look())
    await asyncio.sleep(EVERY)
    found = await look()
    speeds.add(found)
    if as_json:
        typer.echo(json.dumps(as_object(found, speeds)))
    else:
        screen.print(found, speeds)


async def _follow(look: "Looking", screen: "TopScreen", speeds: "Speeds") -> None:
    """Without an end. A server that goes away is waited for, if it was there before."""
    found = await look()
    with screen:
        problem = None
        while True:
            if problem is None:
                speeds.add(found)
            screen.show(found, speeds, problem)
            await asyncio.sleep(EVERY)
            try:
                found, problem = await look(), None
            except Exception as error:
                if exit_code_of(error) != TRY_LATER:
                    raise
                problem = sentence_of(error)


async def _until_q(following: Coroutine[None, None, None]) -> None:
    """Run it until it fails, or somebody presses q."""
    task, is_over = asyncio.ensure_future(following), False

    def end() -> None:
        nonlocal is_over
        is_over = True
        task.cancel()

    with _keys({"q": end, "Q": end}):
        try:
            await task
        except asyncio.CancelledError:
            if not is_over:  # Ctrl-C
                raise


@contextmanager
def _keys(actions: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    """Call what belongs to a key as soon as it is pressed. Without a terminal: nothing.

    Afterwards, the terminal is as it was.
    """
    try:
        import termios  # noqa: PLC0415 - only Unix has them
        import tty  # noqa: PLC0415
    except ImportError:
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def read() -> None:
        pressed = os.read(terminal, 64).decode(errors="replace")
        if not pressed:  # the terminal is gone
            loop.remove_reader(terminal)
        for key in pressed:
            actions.get(key, lambda: None)()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
