"""`wherry` in a process of its own that need not import anything.

It is forked from a process that has imported all of Wherry, which saves each of some hundred
starts nearly a second of processor time. Tests of the start itself run `python -m wherry`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO

WHERRY = [sys.executable, "-m", "wherry"]

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "tests.forked",
        "wherry.cli",
        "wherry.server",
        # What a start imports late.
        "wherry.catalog.sqlite.catalog",
        "wherry.catalog.sql.migrations",
        "alembic.command",
        "uvicorn.loops.uvloop",
        "uvicorn.lifespan.on",
        "anyio._backends._asyncio",
    ]
)


class Forked:
    """What tests use of `subprocess.Popen`, whose meaning each member has."""

    def __init__(self, words: Sequence[str], out: str, err: str, env: Mapping[str, str]) -> None:
        folder = os.getcwd()  # noqa: PTH109 - it is only handed on
        self._process = _forks.Process(
            target=_run, args=(list(words), folder, dict(env), out, err), daemon=True
        )
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("wherry", timeout)
        return code

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def launch(
    command: Sequence[str], *, stdout: BinaryIO, stderr: BinaryIO
) -> Forked | subprocess.Popen[bytes]:
    """Start this in the folder and the environment of this process, its output in these files."""
    if command[:3] != WHERRY:
        return subprocess.Popen(command, stdout=stdout, stderr=stderr)
    return Forked(command[3:], stdout.name, stderr.name, os.environ)


def _run(words: list[str], folder: str, env: dict[str, str], out: str, err: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["wherry", *words]
    from wherry.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # `multiprocessing` does not
