"""What the disk refuses is told; one thing that fails keeps nothing else from being done."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.engine.conftest import ALICE, Bytes, World, created, settings_in, written

from wherry.core.admission import Space
from wherry.core.errors import NeverFits, StorageFailed, UploadGone
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import State
from wherry.engine import watching
from wherry.storage import disk

pytestmark = [pytest.mark.anyio, pytest.mark.disk_only, pytest.mark.usefixtures("route")]

BOB = Caller("bob")
DAY = 24 * 3600.0
#: Errors that say nothing of room.
OTHERS = (errno.EPERM, errno.EROFS, errno.EIO, errno.EDQUOT, errno.ENAMETOOLONG, errno.EACCES)


@pytest.fixture(autouse=True)
def look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_AGE", 0.0)


@pytest.fixture
def disk_says() -> Iterator[Callable[[int], None]]:
    """`disk_says(errno)`: every reservation of more than the probe's size fails so; 0: none."""
    patch, real = pytest.MonkeyPatch(), disk.allocate

    def says(number: int) -> None:
        def allocate(fd: int, length: int) -> bool:
            if length == 1 << 16:
                return real(fd, length)
            raise OSError(number, os.strerror(number))

        patch.undo()
        if number:
            patch.setattr(disk, "allocate", allocate)

    yield says
    patch.undo()


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [m for m in (r.getMessage() for r in caplog.records) if m.split()[0] == event]


# What the client is told.


@pytest.mark.parametrize("number", OTHERS, ids=errno.errorcode.__getitem__)
async def test_an_error_that_says_nothing_of_room_is_told_and_nobody_waits_for_it(
    world: World, disk_says: Callable[[int], None], number: int
) -> None:
    engine = world.engine()
    disk_says(number)
    with pytest.raises(StorageFailed, match=os.strerror(number)):
        await created(engine, 100)
    assert await engine.uploads(ALICE) == []
    disk_says(0)
    assert (await created(engine, 100)).state is State.RECEIVING


async def test_a_file_longer_than_the_volume_takes_never_fits(
    world: World, disk_says: Callable[[int], None]
) -> None:
    engine = world.engine()
    disk_says(errno.EFBIG)
    with pytest.raises(NeverFits) as refused:
        await created(engine, 100)
    assert (refused.value.limit, refused.value.provided) == (99, 100)
    assert await engine.uploads(ALICE) == []


async def test_who_has_waited_is_told_when_its_turn_comes_and_the_disk_refuses(
    world: World, disk_says: Callable[[int], None]
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    first, waiting = [await created(engine, 10) for _ in range(2)]
    await engine.cancel(ALICE, first.id)
    disk_says(errno.EIO)
    await engine.advance()
    upload = await engine.status(ALICE, waiting.id)
    assert upload.state is State.WAITING
    with pytest.raises(StorageFailed, match="Input/output"):
        await engine.with_position(upload)
    with pytest.raises(StorageFailed, match="Input/output"):
        await engine.write(ALICE, Write(waiting.id, 0), Bytes(b"x" * 10))
    [problem] = await engine.unready()
    assert "Input/output error" in problem
    disk_says(0)
    await engine.advance()
    assert await engine.unready() == ()
    assert (await written(engine, waiting, 0, b"x" * 10)).offset == 10


async def test_who_has_waited_with_a_file_too_long_leaves_the_line_with_the_reason(
    world: World, disk_says: Callable[[int], None]
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    first, waiting = [await created(engine, 10) for _ in range(2)]
    await engine.cancel(ALICE, first.id)
    disk_says(errno.EFBIG)
    await engine.advance()
    upload = await engine.status(ALICE, waiting.id)
    assert (upload.state, upload.failure) == (State.FAILED, "never-fits")
    with pytest.raises(UploadGone, match="never-fits"):
        await engine.write(ALICE, Write(waiting.id, 0), Bytes(b"x" * 10))
    assert await engine.unready() == ()
    disk_says(0)
    other, _ = await engine.create(BOB, Create("film.mp4", 10))
    assert other.state is State.RECEIVING


async def test_a_trouble_that_goes_on_is_told_once_a_minute(
    world: World, disk_says: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    first, _ = [await created(engine, 10) for _ in range(2)]
    await engine.cancel(ALICE, first.id)
    disk_says(errno.EIO)
    for _ in range(70):
        await engine.advance()
        world.now += 1
    assert len(lines(caplog, "not-reserved")) == 2
    assert len(lines(caplog, "storage-failed")) == 2


async def test_writing_past_the_longest_file_has_no_words_of_a_refusal_for_size(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients in the field look for "too large"; cutting the chunk would not help here."""
    engine = world.engine()
    upload = await created(engine, 100)

    def refuse(*_: object) -> int:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(StorageFailed) as refused:
        await written(engine, upload, 0, b"x" * 10)
    assert "too large" not in str(refused.value).lower()


# One thing that fails.


async def test_one_upload_that_cannot_be_deleted_stops_no_sweep_of_the_others(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    uploads = [await created(engine, 10) for _ in range(5)]
    poison, real = uploads[1].id, os.rmdir

    def rmdir(path: Any, **options: Any) -> None:
        if path == poison:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, **options)

    monkeypatch.setattr(os, "rmdir", rmdir)
    world.now += 2 * DAY
    await engine.sweep()
    assert {u.state for u in await engine.uploads(ALICE)} == {State.EXPIRED}
    assert [found for found, _ in world.storage.unfinished()] == [poison]
    assert any(
        poison in line and "storage-failed" in line for line in lines(caplog, "sweep-failed")
    )
    monkeypatch.undo()
    [swept] = await engine.sweep()
    assert (swept.action, swept.upload_id) == ("orphan", poison)
    assert list(world.storage.unfinished()) == []


async def test_one_record_that_cannot_be_decided_on_stops_no_sweep_of_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    uploads = [await created(world.engine(), 10) for _ in range(3)]

    class Odd:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.catalog, name)

        async def update(self, upload_id: str, *args: Any, **more: Any) -> Any:
            if upload_id == uploads[0].id:
                raise ZeroDivisionError
            return await world.catalog.update(upload_id, *args, **more)

    world.now += 2 * DAY
    swept = await world.engine(catalog=Odd()).sweep()
    assert {item.upload_id for item in swept} == {uploads[1].id, uploads[2].id}
    [line] = lines(caplog, "sweep-failed")
    assert uploads[0].id in line


async def test_an_immutable_file_is_told_and_the_others_go_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    engine = world.engine()
    stuck, other = [await created(engine, 10) for _ in range(2)]
    place = world.unfinished(stuck.id)
    made = shutil.which("chattr") and subprocess.run(
        ["chattr", "+i", str(place)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("this machine makes no file immutable")
    try:
        world.now += 2 * DAY
        await engine.sweep()
    finally:
        subprocess.run(["chattr", "-i", str(place)], check=True)
    assert {u.state for u in await engine.uploads(ALICE)} == {State.EXPIRED}
    assert not world.keeps(other.id)
    assert any(stuck.id in line for line in lines(caplog, "sweep-failed"))


async def test_a_folder_in_an_uploads_folder_stops_neither_completion_nor_sweep(
    world: World,
) -> None:
    engine = world.engine()
    done, expired = [await created(engine, 4) for _ in range(2)]
    for upload in (done, expired):
        (world.unfinished(upload.id).parent / "folder" / "deeper").mkdir(parents=True)
    await written(engine, done, 0, b"film")
    assert (await engine.complete(ALICE, done.id)).is_complete()
    world.now += 2 * DAY
    await engine.sweep()
    assert list(world.storage.unfinished()) == []


async def test_what_fails_beside_the_requests_stops_nothing_else_of_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.catalog, name)

        async def uploads(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

    world.settings = settings_in(world.settings.data, max_open=1)
    first, second = [await created(world.engine(), 10) for _ in range(2)]
    await world.engine().cancel(ALICE, first.id)
    caplog.set_level(logging.ERROR)
    await world.engine(catalog=Odd())._background._poll()
    assert len(lines(caplog, "background-failed")) == 1
    assert (await world.catalog.load(second.id)).state is State.RECEIVING


async def test_an_error_is_told_no_longer_once_there_is_only_no_room(
    world: World, disk_says: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    first, second = await created(engine, 100), await created(engine, 100)
    disk_says(errno.EIO)
    await engine.cancel(ALICE, first.id)
    await engine.advance()
    assert "cannot reserve space" in " ".join(await engine.unready())
    disk_says(0)
    monkeypatch.setattr(world.storage, "space", lambda: Space(1 << 30, 0))
    await engine.advance()
    assert await engine.unready() == ()
    assert (await engine.with_position(second))[1] == 1
