"""The command line, run as an operator runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.forked import Forked

#: A busy machine may need long, in seconds.
TIMEOUT = 240.0


def wherry(
    *words: object, code: int = 0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = list(map(str, words))
    with TemporaryDirectory() as name:
        out, err = Path(name, "out"), Path(name, "err")
        process = Forked(command, str(out), str(err), os.environ | dict(environment or {}))
        try:
            ended = process.wait(TIMEOUT)
        finally:
            process.kill()
        said = [path.read_text() if path.exists() else "" for path in (out, err)]
    done = subprocess.CompletedProcess(command, ended, *said)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
