"""On a volume that somebody else has filled to the last block, what frees space still works.

The volumes are real ones of their own, with the catalog and the bytes on them.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, World, created, settings_in

from wherry.app.backends import open_catalog, open_storage
from wherry.catalog.sqlite import ballast
from wherry.core.errors import DiskFull, NoRoom, UploadError
from wherry.core.limits import KiB, MiB
from wherry.core.requests import Create, Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine

pytestmark = [pytest.mark.anyio, pytest.mark.disk_only, pytest.mark.usefixtures("route")]

DAY = 24 * 3600.0
SIZE = 64 * KiB


def mounted(folder: Path, *options: str) -> bool:
    command = ["mount", *options, str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(params=["tmpfs", "ext4"])
def volume(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """24 MiB for nobody else."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small volume needs root")
    folder, image = tmp_path / "volume", tmp_path / "image"
    folder.mkdir()
    if request.param == "tmpfs":
        is_mounted = mounted(folder, "-t", "tmpfs", "-o", "size=24m,mode=700", "wherry-test")
    else:
        with image.open("wb") as file:
            file.truncate(24 * MiB)
        mkfs = shutil.which("mkfs.ext4") or "/sbin/mkfs.ext4"
        if not Path(mkfs).exists():
            pytest.skip("there is no mkfs.ext4")
        subprocess.run([mkfs, "-q", "-F", "-m", "0", str(image)], check=True)
        is_mounted = mounted(folder, "-o", "loop", str(image))
    if not is_mounted:
        pytest.skip("this machine does not let us mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
async def small(volume: Path) -> AsyncIterator[World]:
    settings = settings_in(volume / "data", max_open=None)
    storage, catalog = open_storage(settings), open_catalog(settings)
    yield World(storage, catalog, settings)
    await catalog.close()


class Somebody:
    """Somebody else who takes all that is free, to the last block."""

    def __init__(self, volume: Path) -> None:
        self._path = volume / "filler"

    def fill(self) -> None:
        size = MiB
        with self._path.open("ab", buffering=0) as file:
            while size >= 512:
                try:
                    file.write(os.urandom(size))
                    os.fsync(file.fileno())
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def leave(self) -> None:
        self._path.unlink()


async def until_nothing_is_recorded(engine: Engine, upload: Upload) -> None:
    """The log has no room left for anything new: bytes that need no space are refused, too."""

    async def write_all() -> None:
        for at in range(SIZE):
            await engine.write(ALICE, Write(upload.id, at), Bytes(b"x"))

    with pytest.raises(DiskFull):
        await write_all()


@pytest.mark.sqlite_only
async def test_cancelling_works_on_a_full_volume_again_and_again(
    small: World, volume: Path
) -> None:
    engine, others = small.engine(), Somebody(volume)
    uploads = [await created(engine, SIZE) for _ in range(40)]
    others.fill()
    await until_nothing_is_recorded(engine, uploads[0])
    for upload in uploads[1:]:
        assert (await engine.cancel(ALICE, upload.id)).state is State.CANCELLED
        others.fill()  # at once all that was freed is taken
    assert [found for found, _ in small.storage.unfinished()] == [uploads[0].id]
    others.leave()
    with anyio.fail_after(60):
        while True:
            try:
                await engine.write(ALICE, Write(uploads[0].id, 0), Bytes(b"x" * SIZE))
                break
            except DiskFull:
                await anyio.sleep(0.1)
    assert (await engine.complete(ALICE, uploads[0].id)).is_complete()
    kept = small.settings.data / "catalog.sqlite-ballast"
    assert kept.stat().st_size == ballast.BALLAST


@pytest.mark.sqlite_only
async def test_expiry_completion_and_discarding_work_on_a_full_volume(
    small: World, volume: Path
) -> None:
    engine, others = small.engine(), Somebody(volume)
    done, whole, *idle = [await created(engine, SIZE) for _ in range(12)]
    for upload in (done, whole):
        await engine.write(ALICE, Write(upload.id, 0), Bytes(b"x" * SIZE))
    await engine.complete(ALICE, done.id)
    others.fill()
    await until_nothing_is_recorded(engine, idle[0])
    assert (await engine.complete(ALICE, whole.id)).is_complete()
    await engine.discard(ALICE, done.id)
    small.now += 2 * DAY
    swept = await engine.sweep()
    assert {item.upload_id for item in swept} == {upload.id for upload in idle}
    assert list(small.storage.unfinished()) == []
    # Most of it: the catalog's log has grown meanwhile.
    space = small.storage.space()
    assert space is not None
    assert space.free >= len(idle) * SIZE // 2


@pytest.mark.sqlite_only
async def test_nothing_new_takes_the_space_that_freeing_needs(small: World, volume: Path) -> None:
    engine, others = small.engine(), Somebody(volume)
    uploads = [await created(engine, SIZE) for _ in range(3)]
    others.fill()
    await until_nothing_is_recorded(engine, uploads[0])
    for _ in range(50):
        with pytest.raises((DiskFull, NoRoom)):
            await engine.receive(ALICE, Create("film.mp4", 1), Bytes(b"x"))
        with pytest.raises(UploadError):
            await engine.write(ALICE, Write(uploads[1].id, 0), Bytes(b"x"))
        others.fill()
    await engine.cancel(ALICE, uploads[2].id)


async def test_a_server_starts_on_a_full_volume_and_frees_what_it_holds(
    volume: Path,
) -> None:
    settings, others = settings_in(volume / "data", max_open=None), Somebody(volume)
    storage, catalog = open_storage(settings), open_catalog(settings)
    world = World(storage, catalog, settings)
    uploads = [await created(world.engine(), SIZE) for _ in range(5)]
    await catalog.close()
    others.fill()
    again = open_catalog(settings)
    engine = World(open_storage(settings), again, settings).engine()
    for upload in uploads:
        assert (await engine.cancel(ALICE, upload.id)).state is State.CANCELLED
        others.fill()
    await again.close()
