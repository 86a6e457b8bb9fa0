"""With the client alone installed, what needs more says so, and the rest works."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVER_PARTS = ["fastapi", "pydantic_settings", "sqlalchemy", "uvicorn", "starlette", "dbos", "av"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\n"
        f"for name in {SERVER_PARTS!r}: sys.modules[name] = None\n"
        f"sys.argv = ['wherry', *{list(words)!r}]\n"
        "from wherry.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "words", [["serve", "--data", "x"], ["sweep", "--dry-run"], ["storage"], ["demo"], ["worker"]]
)
def test_what_needs_the_server_names_what_to_install(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert "pip install 'wherry[server,assessment]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["upload", "--help"], ["--version"]])
def test_the_client_needs_nothing_of_the_server(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 0, done.stderr
