"""The web process stays small: what only the worker needs is loaded by the worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.assessment.conftest import ROOT


def test_the_web_process_loads_neither_dbos_nor_pyav() -> None:
    modules = [
        "wherry.assessment",
        "wherry.assessment.supervisor",
        "wherry.assessment.lifetime",
        "wherry.assessment.worker",
        "wherry.assessment.report",
        "wherry.assessment.text",
        "wherry.assessment.policy",
        "wherry.assessment.steps",
    ]
    code = (
        f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
        "print([m for m in ('av', 'dbos') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    assert json.loads(found.stdout) == []
