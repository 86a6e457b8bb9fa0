"""All storages keep what every storage promises."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.storage.buckets import new_storage

from wherry.core.limits import MiB
from wherry.storage import Storage
from wherry.storage.local import LocalStorage
from wherry.testing.memory.storage import MemoryStorage
from wherry.testing.s3 import S3Server
from wherry.testing.storage import CHECKS, Check, check_storage

MAKERS: dict[str, Callable[[Path], Storage]] = {
    "local": LocalStorage,
    "local-not-durable": lambda folder: LocalStorage(folder, durable=False),
    "memory": lambda _: MemoryStorage(capacity=2 * MiB),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_promise(check: Check, make: Callable[[Path], Storage], tmp_path: Path) -> None:
    storage = make(tmp_path / "root")
    storage.check()
    check(storage)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_promise_in_an_object_store(check: Check, s3_server: S3Server) -> None:
    storage = new_storage(s3_server)
    storage.check()
    check(storage)


def test_every_promise_is_kept_on_a_volume_of_its_own(small_volume: Path) -> None:
    def make() -> Storage:
        for old in small_volume.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        return LocalStorage(small_volume)

    check_storage(make)
