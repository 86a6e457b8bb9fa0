"""Assessments give way to what the server does for its clients."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.assessment.conftest import BOUNDS, HOSTILE, into

from wherry.assessment.priority import NICENESS
from wherry.assessment.sandbox import Sandbox

LOWER = """
import os
from pathlib import Path
from wherry.assessment.priority import lower_priority
os.setsid()
for _ in range(2):
    lower_priority()
session = Path("/proc/self/autogroup")
print(os.nice(0), session.read_text().split()[-1] if session.exists() else "none")
"""


def test_a_step_has_a_lower_priority_than_the_server(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"no")
    outcome = sandbox.run(HOSTILE["humble"], file, tmp_path, into(tmp_path), BOUNDS)
    assert outcome.result == {"niceness": max(os.nice(0), NICENESS), "artefacts": []}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sessions with a niceness")
def test_a_session_gives_way_too_and_lowering_it_again_changes_nothing() -> None:
    command = [sys.executable, "-c", LOWER]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == str(max(os.nice(0), NICENESS))
    assert said[1] in (str(NICENESS), "none")
