"""Limits that lie nearer than any proxy: of the ASGI server, and of middleware around the router.

No ASGI server limits the size of a body. These options end or refuse requests otherwise:

    uvicorn     `--limit-concurrency`: further requests are answered 503 in plain text
    gunicorn    its worker `asgi` ends a body of which no byte comes for `--timeout` seconds. (Under
                a worker of uvicorn's, that option is about the process, and ends no request.)
    hypercorn   `--read-timeout`: the connection is closed when no byte comes for so long
    granian     none

Rule 1: what is found is logged, and nothing is refused for it. Where nothing can be found out,
nothing is said.
"""

from __future__ import annotations

import ast
import inspect
import logging
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from wherry.engine.stopping import running_server
from wherry.events import Event, log_event
from wherry.settings import Settings

#: How long gunicorn's worker `asgi` waits for bytes if `--timeout` is 0, in seconds.
GUNICORNS_LONGEST = 30.0


@dataclass(frozen=True, slots=True)
class HostLimit:
    """`place`: the option or the class that has it. `level`: of the line in the log."""

    place: str
    problem: str
    level: int = logging.WARNING


def log_host_limits(settings: Settings, application: object) -> None:
    """Log what this process's server and the application around the router limit.

    Call it on the thread of the server's event loop. `application`: the one that the router is
    part of, as far as it is known.
    """
    found: list[HostLimit] = []
    with suppress(Exception):  # it looks into other people's code, and must not end the start
        found += server_limits(settings, inspect.currentframe())
        found += buffering(application)
    for limit in found:
        log_event(Event.HOST_LIMIT, level=limit.level, place=limit.place, problem=limit.problem)


def server_limits(settings: Settings, frame: FrameType | None) -> Iterator[HostLimit]:
    """`frame`: the newest one of the thread that runs the server."""
    yield from _of_uvicorn(getattr(running_server(), "config", None), settings)
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if module == "gunicorn.workers.gasgi" and frame.f_code.co_name == "run":
            yield from _of_gunicorn(getattr(frame.f_locals.get("self"), "cfg", None), settings)
        elif module == "hypercorn.asyncio.run" and "config" in frame.f_locals:
            yield from _of_hypercorn(frame.f_locals["config"], settings)
            return
        frame = frame.f_back


def _of_uvicorn(config: object, settings: Settings) -> Iterator[HostLimit]:
    most = getattr(config, "limit_concurrency", None)
    if isinstance(most, int):
        yield HostLimit(
            "uvicorn --limit-concurrency",
            f"it answers 503 when there are {most} connections. One client sends "
            f"{settings.concurrency} chunks at once (concurrency). Use max_requests in its place: "
            "Wherry's refusal says when to come back",
        )


def _of_gunicorn(config: object, settings: Settings) -> Iterator[HostLimit]:
    timeout = getattr(config, "timeout", None)
    if not isinstance(timeout, int | float):
        return
    # Read from gunicorn 27: 0 switches the option off, but not this limit.
    seconds = timeout if timeout > 0 else GUNICORNS_LONGEST
    if seconds < settings.chunk_timeout:
        yield HostLimit(
            "gunicorn --timeout",
            f"its worker asgi ends a body of which no byte comes for {seconds:g} s. Wherry would "
            f"wait for {settings.chunk_timeout:g} s (chunk_timeout)",
            logging.INFO,
        )


def _of_hypercorn(config: object, settings: Settings) -> Iterator[HostLimit]:
    seconds = getattr(config, "read_timeout", None)
    if isinstance(seconds, int | float) and seconds < settings.chunk_timeout:
        yield HostLimit(
            "hypercorn --read-timeout",
            f"it closes a connection on which no byte comes for {seconds:g} s, also while Wherry "
            f"works on its answer. Wherry would wait for {settings.chunk_timeout:g} s "
            "(chunk_timeout)",
        )


def buffering(application: object) -> Iterator[HostLimit]:
    """The middlewares of a Starlette application that read a whole body before they pass it on.

    They are found by their source: they await `request.body()`, `.json()` or `.form()`, or read
    one message after the other before they call the application.
    """
    for middleware in getattr(application, "user_middleware", ()):
        function = _function_of(middleware)
        if function is not None and _reads_body(function):
            name = f"{function.__module__}.{function.__qualname__}"
            yield HostLimit(
                name.removesuffix(".dispatch").removesuffix(".__call__"),
                "this middleware reads a whole body into memory before Wherry sees its first byte. "
                "Let it pass on requests whose path has /chunked-upload/ in it",
            )


def _function_of(middleware: Any) -> Callable[..., object] | None:
    """What a middleware runs for each request; None if it is not written in Python."""
    kwargs = getattr(middleware, "kwargs", {})
    cls = getattr(middleware, "cls", None)
    found = kwargs.get("dispatch") or getattr(cls, "dispatch", None)
    found = found or getattr(cls, "__call__", None)  # noqa: B004 - the function itself is wanted
    found = inspect.unwrap(found) if callable(found) else None
    return found if inspect.isfunction(found) or inspect.ismethod(found) else None


def _reads_body(function: Callable[..., object]) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    definition = tree.body[0]
    if not isinstance(definition, ast.AsyncFunctionDef):
        return False
    names = [argument.arg for argument in definition.args.args]
    receive = names[2] if len(names) > 2 else None  # self, scope, receive, send
    return any(
        _awaits_body(node) or (_is_loop(node) and _awaits(node, receive))
        for node in _own_nodes(definition.body)
    )


def _awaits_body(node: ast.AST) -> bool:
    """Whether it is `await request.body()`, or the like."""
    if not isinstance(node, ast.Await) or not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    return (
        isinstance(called, ast.Attribute)
        and called.attr in ("body", "json", "form")
        and not node.value.args
        and isinstance(called.value, ast.Name)
        and "resp" not in called.value.id
    )


def _is_loop(node: ast.AST) -> bool:
    return isinstance(node, ast.While | ast.For | ast.AsyncFor)


def _awaits(loop: ast.AST, name: str | None) -> bool:
    """Whether the loop awaits a call of this name."""
    return any(
        isinstance(node, ast.Await)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == name
        for node in _own_nodes([loop])
    )


def _own_nodes(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes and what is below them, without the functions that they define."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        yield node
        yield from _own_nodes(ast.iter_child_nodes(node))
