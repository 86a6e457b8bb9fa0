"""The Pythons of this machine that Wherry runs on, and which of them tests should try."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
#: What a Python tells of itself; without these modules it cannot make a virtual environment.
ASK = "import ensurepip, sqlite3, ssl, sys, venv; print(*sys.version_info[:3])"


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter, by its version and path."""

    version: tuple[int, ...]
    path: Path

    @property
    def release(self) -> tuple[int, ...]:
        """What makes the difference: 3.13."""
        return self.version[:2]

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def candidates() -> list[Path]:
    """Everything that may be a Python: on the PATH, of pyenv, of uv."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    installed = [*pyenv.glob("versions/*/bin"), *uv.glob("*/bin")]
    name = re.compile(r"python3\.\d+")
    return [
        path
        for folder in (*on_path, *installed)
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if name.fullmatch(path.name)
    ]


def ask(path: Path) -> Python | None:
    """This interpreter; None for one that does not run, is too old, or is a shim without one."""
    try:
        told = subprocess.run(
            [path, "-c", ASK], capture_output=True, text=True, timeout=120, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = tuple(int(number) for number in told.split())
    return Python(version, path) if version >= OLDEST else None


def to_try(found: Iterable[Python], own: tuple[int, ...]) -> list[Python]:
    """The oldest and the newest release, without the one in which all tests run (`own`)."""
    pythons = sorted(found, key=lambda python: python.version)
    ends = dict.fromkeys([pythons[0], pythons[-1]]) if pythons else {}
    return [python for python in ends if python.release != own[:2]]
