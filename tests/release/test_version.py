"""One version, as each registry writes it."""

from __future__ import annotations

import pytest
from release.version import npm_version


@pytest.mark.parametrize(
    ("python", "npm"),
    [
        ("0.1.0", "0.1.0"),
        ("0.1.0.dev0", "0.1.0-dev.0"),
        ("1.2.3a1", "1.2.3-alpha.1"),
        ("1.2.3b2.dev4", "1.2.3-beta.2.dev.4"),
        ("1.2.3rc10", "1.2.3-rc.10"),
    ],
)
def test_a_version_is_written_as_npm_orders_it(python: str, npm: str) -> None:
    assert npm_version(python) == npm


@pytest.mark.parametrize("python", ["1.2", "1.2.3.4", "1.0.0.post1", "1.0.0+local", "1!1.0.0"])
def test_a_version_that_npm_cannot_write_is_refused(python: str) -> None:
    with pytest.raises(ValueError, match="npm has no version like"):
        npm_version(python)
