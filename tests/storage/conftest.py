"""Storages to test, and a volume small enough to fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.storage.local import LocalStorage

#: Enough for the contract's data four times.
SMALL_VOLUME = "2m"


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "root")
    storage.check()
    return storage


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of its own, of 2 MiB and 20 names, with nothing on it."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small volume needs root")
    folder = tmp_path / "volume"
    folder.mkdir()
    options = f"size={SMALL_VOLUME},nr_inodes=20,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "wherry-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine does not let us mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
