"""`python -m tests.pythons.reports FOLDER`: the reports of all files in it, as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.assessment.conftest import assessed, look

#: By how much two numbers of a report may differ: times are seconds.
CLOSE = 0.02
#: What comes from the library's version, or from a clock.
OWN = ("engine",)


def reports(folder: Path) -> dict[str, Any]:
    """By the file's name, what its assessment finds."""
    with tempfile.TemporaryDirectory() as pictures:

        def measure(step: str, path: Path) -> Mapping[str, Any]:
            return look(step, path, Path(pictures))

        return {path.name: assessed(path, measure) for path in sorted(folder.iterdir())}


def differences(one: Any, other: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two reports say different things."""
    numbers = (int, float)
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other} - {*OWN}):
            yield from differences(one.get(name), other.get(name), f"{at}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{at}.{number}")
    elif isinstance(one, numbers) and isinstance(other, numbers):
        if abs(one - other) > CLOSE:
            yield at, one, other
    elif one != other:
        yield at, one, other


if __name__ == "__main__":
    json.dump(reports(Path(sys.argv[1])), sys.stdout)
