"""Tries every way out of its process, and tells which of them were open."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    attempts: dict[str, Callable[[], object]] = {
        "read a file": lambda: Path("/etc/passwd").read_bytes(),
        "list a folder": lambda: list(Path("/").iterdir()),
        "write the upload": lambda: context.path.open("r+b").close(),
        "cut the upload": lambda: os.truncate(context.path, 0),
        "read beside the upload": lambda: (context.path.parent / "secret").read_bytes(),
        "write elsewhere": lambda: (context.folder / ".." / "elsewhere").write_bytes(b""),
        "make a link": lambda: (context.folder / "poster.jpg").symlink_to("/etc/passwd"),
        "open a socket": lambda: socket.socket(),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": _fork,
        "change its scheduling": lambda: os.sched_setscheduler(
            0, os.SCHED_BATCH, os.sched_param(0)
        ),
        "signal the parent": lambda: os.kill(os.getppid(), signal.SIGCONT),
        "read the parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    }
    open_ways = []
    for name, attempt in attempts.items():
        with contextlib.suppress(OSError):
            attempt()
            open_ways.append(name)
    return {
        "open": open_ways,
        "environment": sorted(os.environ),
        "upload": context.path.read_bytes().decode(),
    }


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
