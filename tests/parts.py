"""Parts of the machine that a test needs, and that may be missing."""

import os

import pytest


def need(is_there: bool, what: str) -> None:
    """Skip the test where `what` is not there; under CI=true, fail."""
    if not is_there:
        assert os.environ.get("CI") != "true", f"missing: {what}"
        pytest.skip(f"missing: {what}")
