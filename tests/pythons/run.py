"""Runs what depends on Python's version on the oldest and the newest Python of this machine.

    python -m tests.pythons.run [PYTEST OPTIONS] TESTS

Each has a virtual environment of its own, `.venv-3.13`, from the same lock.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.pythons.found import Python, ask, candidates, to_try

ROOT = Path(__file__).parents[2]


def main() -> int:
    own = Python(sys.version_info[:3], Path(sys.executable))
    found = [python for path in candidates() if (python := ask(path))]
    others = to_try([*found, own], own.version)
    if not others:
        print(f"Python {own} ran all tests. There is no other one here: nothing ran on a second.")
        return 0
    lines = [f"Python {own} ran all tests."]
    failed = False
    for python in others:
        code = run(python)
        failed = failed or code != 0
        outcome = "passed" if code == 0 else f"FAILED with {code}"
        lines.append(f"Python {python} ({python.path}): {' '.join(sys.argv[1:])} {outcome}.")
    print("\n".join(lines))
    return int(failed)


def run(python: Python) -> int:
    """Install the lock for it, and run the tests; pytest's exit code."""
    print(f"\nOn Python {python}:", flush=True)
    installed = install(python)
    environment = {**os.environ, "WHERRY_OTHER_PYTHON": sys.executable}
    return subprocess.run(
        [installed, "-m", "pytest", *sys.argv[1:]], env=environment, cwd=ROOT, check=False
    ).returncode


def install(python: Python) -> Path:
    """Its own environment's interpreter; made once, and again when the lock changes."""
    folder = ROOT / f".venv-{'.'.join(map(str, python.release))}"
    inside, mark = folder / "bin" / "python", folder / ".installed"
    lock = (ROOT / "requirements.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    wanted = f"{python} {hashlib.sha256(lock).hexdigest()}"
    if mark.exists() and mark.read_text() == wanted:
        return inside
    call(python.path, "-m", "venv", "--clear", folder)
    call(inside, "-m", "pip", "install", "--quiet", "--requirement", ROOT / "requirements.lock")
    call(inside, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ROOT)
    mark.write_text(wanted)
    return inside


def call(*command: str | Path) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
