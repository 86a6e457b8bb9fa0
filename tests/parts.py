"""Parts of the machine that a test needs, and that may be missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def need(is_there: bool, what: str) -> None:
    """Skip the test where `what` is not there. Under CI=true, fail: a proof left out is none."""
    if not is_there:
        assert os.environ.get("CI") != "true", f"missing: {what}"
        pytest.skip(f"missing: {what}")


def need_package(name: str) -> None:
    need(importlib.util.find_spec(name) is not None, name)


def need_program(name: str) -> str:
    """Its path."""
    found = shutil.which(name)
    need(found is not None, name)
    return str(found)


#: The version is also in the Makefile, which builds it.
VERSITYGW = "1.8.0"


def need_versitygw() -> str:
    """The path of the S3 server, which `make test-parts` builds."""
    built = Path(__file__).parent.parent / ".cache" / f"versitygw-{VERSITYGW}" / "versitygw"
    need(built.exists(), f"versitygw {VERSITYGW} (make test-parts)")
    return str(built)
