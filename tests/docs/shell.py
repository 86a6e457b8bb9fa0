"""A shell into which the commands of a page are typed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from tests.docs.pages import blocks
from tests.parts import need_program

from wherry.testing.server import Server

#: Blocks that begin so are not typed: they install, or stay up until they are stopped.
LEFT_OUT = ("make ", "pip ", "wherry serve ", "uvicorn ", "SCANNER=")
EXAMPLE = "http://127.0.0.1:8000"
FOLDER = "/var/lib/wherry"


def type_all(page: str, server: Server, folder: Path, skipped: Collection[str] = ()) -> str:
    """Run every block of shell commands of a page, one after the other; all they print.

    `skipped`: blocks that were run before the server was started.
    """
    for tool in ("bash", "curl", "openssl", "split"):
        need_program(tool)
    typed = [block for block in blocks(page, "sh") if not block.startswith(LEFT_OUT)]
    typed = [block for block in typed if block not in skipped]
    script = "".join(typed).replace(EXAMPLE, server.url).replace(FOLDER, str(server.data))
    assert script
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout
