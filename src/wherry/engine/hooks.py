"""Where a host application takes part: what it is handed, and how it is called.

Rule 1: `before_complete` sees the whole file before anybody else does. It may
refuse it by raising `ContentRefused`; any other exception keeps the bytes.

Rule 2: `on_complete` is called at least once for an upload, never twice at the
same time. The upload's id is the key by which the application tells a repetition.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.lowlevel import RunVar

from wherry.body import until_returned

#: Hooks that may run on threads at once: slow scanners must not stop anybody else's threads.
HOOK_THREADS = 8
_threads: RunVar[anyio.CapacityLimiter] = RunVar("wherry_hooks")


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A file that is all there. `size` in bytes; `digest` as in RFC 9530, crc64nvme.

    `path` may be moved by `on_complete`; asked a second time it may find it gone,
    because it has moved it itself.
    """

    id: str
    path: Path
    filename: str
    content_type: str | None
    size: int
    owner: str
    metadata: Mapping[str, str]
    digest: str


BeforeComplete = Callable[[FinishedFile], Awaitable[None] | None]
OnComplete = Callable[[FinishedFile], Awaitable[str] | str]


@dataclass(frozen=True, slots=True)
class Hooks:
    before_complete: BeforeComplete | None = None
    on_complete: OnComplete | None = None


async def call(hook: Callable[[FinishedFile], object], file: FinishedFile) -> object:
    """Call a hook: a coroutine function on the loop, any other function on a thread."""
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
        getattr(hook, "__call__", None)  # noqa: B004 - an object with an async __call__
    ):
        return await hook(file)  # type: ignore[misc]
    try:
        limiter = _threads.get()
    except LookupError:
        _threads.set(limiter := anyio.CapacityLimiter(HOOK_THREADS))
    answer = await until_returned(lambda: hook(file), limiter)
    return await answer if inspect.isawaitable(answer) else answer
