"""What a host application may plug in: its hooks, and the promises made to them.

Rule 1: `before_complete` sees the whole file before any other consumer. It may
refuse it by raising `ContentRefused`; any other exception keeps the bytes.

Rule 2: `on_complete` is called at least once for an upload, never twice at the
same time. The upload's id is the key by which the application recognises a repetition.

Rule 3: a function that gives priorities is called when the file is complete, on a thread, and
must answer at once: the client's request waits for it.

How they are called is in `engine.hook_calls` and `engine.priorities`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wherry.engine.finished import FinishedFile

BeforeComplete = Callable[[FinishedFile], Awaitable[None] | None]
OnComplete = Callable[[FinishedFile], Awaitable[str] | str]
#: Of an assessment: a number for all, or a function that gives one for each file.
Priority = int | Callable[[FinishedFile], int]


@dataclass(frozen=True, slots=True)
class Hooks:
    before_complete: BeforeComplete | None = None
    on_complete: OnComplete | None = None
