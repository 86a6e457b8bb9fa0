"""The demo says what it promises, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from wherry.testing.nginx import require_nginx


@pytest.mark.slow
def test_the_demo_shows_the_whole_line() -> None:
    require_nginx()
    # A folder of its own, because other tests run the demo, too.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "wherry", "demo", "--size", "24"],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        left = list(Path(folder).iterdir())
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "HTTP 413" in done.stdout
    assert "killed (SIGKILL)" in said
    for step in ("probe", "integrity", "visual", "audio", "poster"):
        assert re.search(rf"{step} +done in", done.stdout), said
    assert re.search(r"VIS-BLACK +5\.00 s to 7\.00 s", done.stdout), said
    assert re.search(r"VIS-FREEZE +10\.00 s to 13\.00 s", done.stdout), said
    assert re.search(r"AUD-SILENCE +14\.00 s to 17\.00 s", done.stdout), said
    refused = re.search(r"refused by the proxy +(\d+)", done.stdout)
    assert refused
    assert int(refused[1]) <= 5, "the ordinary request, and at most four of the client's"
    assert re.search(r"peak disk ÷ file size +1\.0[0-3]", done.stdout), said
    assert re.search(r"complete twice, same answer +yes", done.stdout)
    assert re.search(r"SHA-256 equal +yes", done.stdout)
    assert left == []
