"""The command line, run as an operator runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.forked import Forked

#: A busy machine may need long, in seconds.
TIMEOUT = 240.0


class Started:
    """A command that may still run, and what it has said until now."""

    def __init__(self, process: Forked, folder: Path) -> None:
        self.process = process
        self._said = folder / "out", folder / "err"

    def output(self) -> str:
        return self._read(self._said[0])

    def errors(self) -> str:
        return self._read(self._said[1])

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(TIMEOUT)

    def _read(self, path: Path) -> str:
        return path.read_text() if path.exists() else ""


@contextmanager
def started(*words: object, environment: Mapping[str, str] | None = None) -> Iterator[Started]:
    """A command that runs beside the test, and is ended with it."""
    command = list(map(str, words))
    with TemporaryDirectory() as name:
        out, err = Path(name, "out"), Path(name, "err")
        process = Forked(command, str(out), str(err), os.environ | dict(environment or {}))
        try:
            yield Started(process, Path(name))
        finally:
            process.kill()
            process.wait()


def wherry(
    *words: object, code: int = 0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    with started(*words, environment=environment) as running:
        ended = running.wait()
        said = running.output(), running.errors()
    done = subprocess.CompletedProcess(list(map(str, words)), ended, *said)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
