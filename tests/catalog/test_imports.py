"""Only the catalog that is opened loads a database library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

USERS = (
    "wherry.catalog",
    "wherry.catalog.counts",
    "wherry.engine",
    "wherry.metrics",
    "wherry.protocols.chunked",
    "wherry.router",
    "wherry.testing.catalog",
    "wherry.testing.memory.catalog",
    "wherry.testing.memory.storage",
)
LIBRARIES = ("alembic", "sqlalchemy", "sqlite3")


def loaded_by(program: str) -> list[str]:
    """The database libraries that a fresh interpreter has loaded after `program`."""
    ask = f"import sys; print(*(name for name in {LIBRARIES} if name in sys.modules))"
    command = [sys.executable, "-c", f"{program}; {ask}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("module", USERS)
def test_what_uses_the_catalog_loads_no_database_library(module: str) -> None:
    assert loaded_by(f"import {module}") == []


def test_opening_the_catalog_loads_them_and_alembic_only_to_change_the_tables(
    tmp_path: Path,
) -> None:
    opened = (
        "from pathlib import Path; from wherry.app.backends import open_catalog; "
        "from wherry.settings import Settings; "
        f"open_catalog(Settings(data=Path({str(tmp_path)!r})))"
    )
    assert loaded_by(opened) == list(LIBRARIES)
    assert loaded_by(opened) == ["sqlalchemy", "sqlite3"]
