"""What a step receives: the file, a deadline, and a way to store pictures.

Rule 1: a step reads this one file and writes pictures through `Context.write`, and does
nothing else; on Linux the sandbox enforces that.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from wherry.assessment.reading import Reader, reading

#: What may be drawn, by the ending of its name.
CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "vtt": "text/vtt"}


@dataclass(frozen=True, slots=True)
class Context:
    """What one run of a step has.

    `path` can be opened for reading with anything, but not by a step that reads ranges. `file` is
    the same file for `wherry.assessment.media.open_media`, which refuses what is dangerous to
    decode.
    """

    path: Path
    file: str
    folder: Path
    #: The moment of `time.monotonic()` at which the step is ended.
    deadline: float
    artefacts: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file, to read and to seek in until the end of the `with` block. Raises `OSError`."""
        with reading(self.file) as data:
            yield cast("BinaryIO", io.BufferedReader(Reader(data)))

    def seconds_left(self) -> float:
        """How long this step may still take; never below zero."""
        return max(self.deadline - time.monotonic(), 0.0)

    def write(
        self,
        name: str,
        data: bytes,
        *,
        kind: str,
        width: int | None = None,
        height: int | None = None,
        time: float | None = None,
    ) -> None:
        """Keep `data` beside the report, as `name`: small letters, digits, `-`, `_` and an ending.

        `kind` says what it is, `width` and `height` are pixels, `time` is the second it shows.
        Raises `ValueError` for a name with another ending than `.jpg`, `.png` or `.vtt`.
        """
        content_type = CONTENT_TYPES.get(name.rpartition(".")[2])
        if content_type is None:
            raise ValueError(f"{name} does not end in .jpg, .png or .vtt")
        (self.folder / name).write_bytes(data)
        self.artefacts.append(
            {
                "name": name,
                "kind": kind,
                "content_type": content_type,
                "width": width,
                "height": height,
                "time": time,
            }
        )
