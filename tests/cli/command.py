"""The command line, run as an operator runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping


def wherry(
    *words: object, code: int = 0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wherry", *map(str, words)]
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
