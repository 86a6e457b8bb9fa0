"""Runs an installer, and says in one sentence why it failed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers import NotInstalled

#: A Rust program is compiled on one core.
TIMEOUT = 1800.0


def need_program(name: str, what: str) -> str:
    """The path of a program. Raises `NotInstalled`, which says that there is no `what`."""
    found = shutil.which(name)
    if found is None:
        raise NotInstalled(f"there is no {what} (`{name}`)")
    return found


def run_installer(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> str:
    """Run `command` and return its output. Raises `NotInstalled` if it fails."""
    name = Path(command[0]).name  # results are published, and have no paths of this machine
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
    except OSError as error:
        raise NotInstalled(f"{name}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip()[-300:]
        raise NotInstalled(f"{name} failed: {last}") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{name} took longer than {TIMEOUT:.0f} s") from None
    return done.stdout
