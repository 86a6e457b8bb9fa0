"""The process in which one step looks at one file: `python -m wherry.assessment.child REQUEST`.

Rule 1: the limits come first, then the libraries, then the confinement, and the
file last.

Rule 2: what it has to say is one JSON document on the standard output it was
started with; whatever a library prints there goes nowhere.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wherry.assessment.confine import Bounds, confine, limit


@dataclass(frozen=True, slots=True)
class Request:
    """`module` has the step's `measure`; `descriptor` is the open file; `parent` waits for us."""

    module: str
    descriptor: int
    parent: int
    bounds: Bounds

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
    limit(request.bounds, request.parent)
    step = importlib.import_module(request.module)
    media = importlib.import_module("wherry.assessment.media")
    # PyAV imports its parts when it meets a stream of their kind.
    measures = confine(*media.av.__path__)
    document: dict[str, Any] = {"confined": measures}
    try:
        document["result"] = step.measure(f"fd:{request.descriptor}", Path())
    except media.Unreadable as reason:
        document["result"] = {"unreadable": str(reason)}
    except MemoryError:
        document["problem"] = {"kind": "memory", "message": "it needs too much memory"}
    except Exception as error:  # a step may fail in any way; its parent is told how
        message = f"{type(error).__name__}: {error}"[:500]
        document["problem"] = {"kind": "error", "message": message}
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        json.dump(document, out, allow_nan=False)
    # What a damaged library would do while it is torn down is of no interest.
    os._exit(0)


if __name__ == "__main__":
    main()
