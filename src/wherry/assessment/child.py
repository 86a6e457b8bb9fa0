"""The process in which one step reads one file: `python -m wherry.assessment.child REQUEST`.

Rule 1: the limits come first, then the libraries, then the confinement, and the
file last.

Rule 2: its answer is one JSON document of safe values (`json_safe`), on the standard output
that it was started with. Output of libraries is discarded.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wherry.assessment.confine import Bounds, confine, limit
from wherry.assessment.context import Context
from wherry.assessment.json_safe import make_json_safe
from wherry.assessment.priority import lower_priority
from wherry.assessment.reading import name_of

if TYPE_CHECKING:
    from wherry.assessment.media import Unreadable


@dataclass(frozen=True, slots=True)
class Request:
    """`step` is a callable as `module:name`; `descriptor` is the open file; `parent` waits.

    `channel`: a socket to the parent, if bytes of the file must be asked for (`reading`).
    `deadline` is the moment of the monotonic clock at which the parent ends this process.
    """

    step: str
    path: str
    descriptor: int
    parent: int
    deadline: float
    bounds: Bounds
    channel: int | None = None

    def render(self) -> str:
        return json.dumps(asdict(self))


def parse_request(text: str) -> Request:
    """What `Request.render` made."""
    facts = json.loads(text)
    return Request(**{**facts, "bounds": Bounds(**facts["bounds"])})


def main() -> None:
    """Run the step that the first argument asks for, in the current folder."""
    request = parse_request(sys.argv[1])
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    lower_priority()
    limit(request.bounds, request.parent)
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        out.write(_answer(request))
    # Skip the cleanup: a library that the file has damaged could still crash in it.
    os._exit(0)


def _answer(request: Request) -> str:
    """The result of the step as JSON, or the error that it raised."""
    document: dict[str, Any] = {}
    try:
        step = EntryPoint("", request.step, "").load()
        media = importlib.import_module("wherry.assessment.media")
        # PyAV, and what a step is part of, import more when they first need it.
        libraries = (*media.av.__path__, *_package_of(request.step))
        # Of a file that is not all there, the rest would read as zeros.
        by_name = request.descriptor if request.channel is None else None
        document["confined"] = confine(by_name, *libraries)
        document["result"] = _measure(step, request, media.Unreadable)
        return json.dumps(make_json_safe(document), allow_nan=False)
    except MemoryError:
        problem = {"kind": "memory", "message": "it needs too much memory"}
    except Exception as error:  # a step may fail in any way; the parent gets the error
        problem = {"kind": "error", "message": f"{type(error).__name__}: {error}"[:500]}
    return json.dumps(
        make_json_safe({"confined": document.get("confined", []), "problem": problem})
    )


def _measure(
    step: Callable[[Context], dict[str, Any]], request: Request, unreadable: type[Unreadable]
) -> dict[str, Any]:
    file = name_of(request.descriptor, request.channel)
    context = Context(Path(request.path), file, Path(), request.deadline)
    try:
        result = step(context)
    except unreadable as reason:
        return {"unreadable": str(reason), "is_media": reason.is_media}
    if not isinstance(result, dict):
        raise TypeError(f"a step returns a dict, not {type(result).__name__}")
    return {**result, "artefacts": context.artefacts}


def _package_of(step: str) -> list[str]:
    """The folders of the outermost package that the step is in."""
    outermost = sys.modules[step.partition(":")[0].partition(".")[0]]
    return list(getattr(outermost, "__path__", ()))


if __name__ == "__main__":
    main()
