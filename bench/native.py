"""The C programs of the benchmark, compiled with the system's compiler.

Rule 1: a program is compiled again when its source changes, and not otherwise.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-O2", "-Wall", "-Wextra", "-pthread")
TIMEOUT = 120.0


class NoCompiler(Exception):
    """There is no C compiler, or it failed."""


def find_compiler() -> str | None:
    """The path of the system's C compiler; None if there is none."""
    return shutil.which("cc")


def build_driver(cache: Path) -> Path:
    """The program that uploads. Raises `NoCompiler`."""
    return _build(cache, "driver", sorted((HERE / "driver").glob("*.[ch]")))


def build_server(cache: Path) -> Path:
    """The C server, which shows what this machine can reach. Raises `NoCompiler`."""
    return _build(cache, "server", [HERE / "server.c"])


def build_delay(cache: Path) -> Path:
    """The proxy that adds a round-trip time. Raises `NoCompiler`."""
    return _build(cache, "delay", [HERE / "delay.c"])


def _build(cache: Path, name: str, files: list[Path]) -> Path:
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    program = cache / "native" / f"{name}-{digest}"
    if program.exists():
        return program
    compiler = find_compiler()
    if compiler is None:
        raise NoCompiler("there is no C compiler: install gcc or clang, so that `cc` is found")
    program.parent.mkdir(parents=True, exist_ok=True)
    # Renamed at the end, because another run may compile the same program.
    unfinished = program.with_suffix(".unfinished")
    sources = [str(file) for file in files if file.suffix == ".c"]
    done = subprocess.run(
        [compiler, *FLAGS, "-o", str(unfinished), *sources],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        raise NoCompiler(f"{compiler} failed:\n{done.stderr}")
    unfinished.rename(program)
    return program
