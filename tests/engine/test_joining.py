"""Uploads that are joined from others: every crash point, trouble, two processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import ALICE, Bytes, World, content, new_world, written

from wherry.core.admission import Space
from wherry.core.digests import crc64
from wherry.core.errors import (
    Busy,
    DiskFull,
    MadeOfPieces,
    StorageFailed,
    TypeRefused,
    UploadError,
    UploadGone,
)
from wherry.core.requests import Create, Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine, FinishedFile, Hooks
from wherry.storage.local import LocalStorage
from wherry.storage.s3.storage import S3Storage
from wherry.testing.faults import CrashPoint, crash_points

pytestmark = pytest.mark.anyio

PIECES = (b"first " * 20, b"", b"second " * 20)
ORDER = (0, 1, 2, 0)
DATA = b"".join(PIECES[number] for number in ORDER)


def piece_id(number: int) -> str:
    return f"piece-{number}-{'0' * 16}"


async def begun(engine: Engine, number: int, data: bytes) -> Upload:
    """As a client does it that has had this id before."""
    create = Create("upload", len(data), is_piece=True)
    upload, _ = await engine.create(ALICE, create, piece_id(number))
    return upload


async def send_pieces(engine: Engine) -> None:
    for number, data in enumerate(PIECES):
        piece = await begun(engine, number, data)
        if not await engine.has_bytes_of(piece) and piece.offset < len(data):
            await engine.append(ALICE, Write(piece.id, piece.offset), Bytes(data[piece.offset :]))


async def join(engine: Engine) -> Upload:
    create = Create("film.mp4", None, at_most=0)
    return (await engine.join(ALICE, create, [piece_id(number) for number in ORDER]))[0]


async def pieces_first(engine: Engine) -> Upload:
    return await engine.joined(ALICE, await join(engine))


async def some_pieces(engine: Engine) -> None:
    for number, data in enumerate(PIECES):
        await begun(engine, number, data)
    await engine.append(ALICE, Write(piece_id(0), 0), Bytes(PIECES[0]))


async def pieces_last(engine: Engine) -> Upload:
    upload = await join(engine)
    assert (await engine.joined(ALICE, upload)).offset in (0, len(DATA))
    await send_pieces(engine)
    return await until_complete(engine, upload)


async def until_complete(engine: Engine, upload: Upload) -> Upload:
    while not (upload := await engine.status(ALICE, upload.id)).is_complete():
        upload = await engine.joined(ALICE, upload)
        await asyncio.sleep(0.001)
    return upload


@dataclass(frozen=True)
class Flow:
    """What a client does `before` it asks for the joined upload, and what it does then."""

    before: Callable[[Engine], Awaitable[None]]
    act: Callable[[Engine], Awaitable[Upload]]


FIRST, LAST = Flow(send_pieces, pieces_first), Flow(some_pieces, pieces_last)


@pytest.mark.parametrize("flow", [FIRST, LAST], ids=["pieces first", "pieces last"])
async def test_joining_survives_a_crash_at_any_point(tmp_path: Path, flow: Flow) -> None:
    points = 0
    for point in crash_points():
        await crash_and_go_on(new_world(tmp_path / str(point.at)), point, flow)
        points += 1
    assert points > 30


async def crash_and_go_on(world: World, point: CrashPoint, flow: Flow) -> None:
    """Stop joining at this point; then the client asks another process for the same."""
    if isinstance(world.storage, S3Storage):
        world.age()  # the store dates what it has by a clock of its own
    await flow.before(world.engine())
    with point:
        await flow.act(world.engine(point.wrap(world.storage), point.wrap(world.catalog)))
    await world.until_decided()
    world.restart()
    engine = world.engine()
    await send_pieces(engine)
    upload = await flow.act(engine)
    assert await content(engine, upload.id) == DATA, f"at {point}"
    assert upload.received_digest.value == crc64(DATA).to_bytes(8, "big")
    [assessment] = await world.catalog.assessments()
    assert assessment.upload_id == upload.id
    world.age()
    await engine.sweep()
    assert world.leftovers() == [], f"at {point}"
    assert [name for name in world.stored() if upload.id not in name] == [], f"at {point}"
    await world.close()


@pytest.mark.parametrize("backends", ["sqlite+s3"], indirect=True)
@pytest.mark.parametrize("place", ["after S3Storage.copy", "after S3Storage.delete"])
async def test_a_pod_that_dies_while_it_joins_loses_nothing(tmp_path: Path, place: str) -> None:
    """The points between what the store has and what the records say; the rest: `test-worlds`."""

    class Noting(CrashPoint):
        def __init__(self) -> None:
            super().__init__(-1)
            self.places: list[str] = []

        def reach(self, where: str) -> None:
            self.places.append(where)
            super().reach(where)

    noting = Noting()
    await crash_and_go_on(new_world(tmp_path / "noting"), noting, FIRST)
    point = CrashPoint(noting.places.index(place))
    await crash_and_go_on(new_world(tmp_path / "crashed"), point, FIRST)
    assert point.is_reached


async def test_a_process_that_sweeps_goes_on_without_the_client(world: World) -> None:
    engine = world.engine()
    await send_pieces(engine)
    upload = await join(engine)
    # Here the process dies.
    engine = world.engine()
    async with engine.running(), engine.sweeping():
        while not (await engine.status(ALICE, upload.id)).is_complete():
            await asyncio.sleep(0.01)
        assert await content(engine, upload.id) == DATA


async def test_two_processes_join_an_upload_once(world: World) -> None:
    one, two = world.engine(), world.engine()
    await send_pieces(one)
    upload = await join(one)
    await asyncio.gather(*(engine.joined(ALICE, upload) for engine in (one, two, one, two)))
    await until_complete(two, upload)
    assert await content(one, upload.id) == DATA
    assert len([*await world.catalog.assessments()]) == 1


async def test_a_failure_of_the_storage_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    await send_pieces(engine)
    upload = await join(engine)
    copy, calls = world.storage.copy, list[Any]()

    def fail(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        copy(*args)

    with monkeypatch.context() as failing:
        failing.setattr(world.storage, "copy", fail)
        with pytest.raises(StorageFailed):
            await engine.joined(ALICE, upload)
    upload = await engine.status(ALICE, upload.id)
    assert upload.offset == len(PIECES[0]), "what was copied is recorded"
    assert (await engine.joined(ALICE, upload)).is_complete()
    assert await content(engine, upload.id) == DATA


async def test_joining_leaves_the_disk_the_space_that_others_need(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    await send_pieces(engine)
    upload = await join(engine)
    with monkeypatch.context() as full:
        full.setattr(world.storage, "space", lambda: Space(1 << 30, len(PIECES[0]) - 1))
        with pytest.raises(DiskFull):
            await engine.joined(ALICE, upload)
    assert (await engine.joined(ALICE, upload)).is_complete()


async def test_a_joined_upload_reserves_nothing_of_its_own(world: World) -> None:
    engine = world.engine()
    await send_pieces(engine)
    before = await world.catalog.queue(world.now)
    await join(engine)
    assert (await world.catalog.queue(world.now)).taken == before.taken
    reserved = before.taken["alice"].reserved
    assert reserved == sum(map(len, PIECES))


async def test_it_is_not_taken_for_an_upload_that_has_missed_its_turn(world: World) -> None:
    engine = world.engine()
    for number, data in enumerate(PIECES):
        await begun(engine, number, data)
    upload = await join(engine)
    world.now += world.settings.turn + 1
    # Those that have missed their turn are looked for when something waits.
    await world.catalog.create(replace(upload, id="waiting" * 4, state=State.WAITING, joining=None))
    await world.catalog.update("waiting" * 4, lambda u: u.enter_queue(world.now))
    await engine.advance()
    assert (await engine.status(ALICE, upload.id)).state is State.RECEIVING


async def test_a_piece_whose_bytes_were_removed_ends_the_joined_upload(world: World) -> None:
    engine = world.engine()
    await send_pieces(engine)
    upload = await join(engine)
    world.lose(piece_id(2))
    with pytest.raises(UploadGone):
        await engine.joined(ALICE, upload)
    assert (await engine.status(ALICE, upload.id)).failure == "piece-gone"
    assert (await engine.status(ALICE, piece_id(2))).state is State.EXPIRED
    assert not world.keeps(upload.id)


async def test_a_piece_that_has_expired_ends_the_joined_upload(world: World) -> None:
    engine = world.engine()
    for number, data in enumerate(PIECES):
        await begun(engine, number, data)
    upload = await join(engine)
    await engine.cancel(ALICE, piece_id(0))
    with pytest.raises(UploadGone):
        await engine.joined(ALICE, upload)


async def test_a_joined_upload_that_nobody_goes_on_with_expires(world: World) -> None:
    engine = world.engine()
    for number, data in enumerate(PIECES):
        await begun(engine, number, data)
    upload = await join(engine)
    world.now += world.settings.expires_after + world.settings.turn + 1
    await engine.sweep()
    ended = {each.state for each in await world.catalog.uploads()}
    assert ended == {State.EXPIRED}
    assert not world.keeps(upload.id)


async def test_no_request_brings_bytes_of_a_joined_upload(world: World) -> None:
    engine = world.engine()
    for number, data in enumerate(PIECES):
        await begun(engine, number, data)
    upload = await join(engine)
    for flow in (engine.write, engine.append):
        with pytest.raises(MadeOfPieces):
            await flow(ALICE, Write(upload.id, 0), Bytes(b"x"))


async def test_while_it_is_joined_it_is_not_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, told = world.engine(), list[str]()
    await send_pieces(engine)
    upload = await join(engine)
    copy, loop = world.storage.copy, asyncio.get_running_loop()

    async def cancel() -> None:
        with pytest.raises(Busy):
            await engine.cancel(ALICE, upload.id)
        told.append("busy")

    def cancel_meanwhile(*args: Any) -> None:
        if not told:
            asyncio.run_coroutine_threadsafe(cancel(), loop).result()
        copy(*args)

    monkeypatch.setattr(world.storage, "copy", cancel_meanwhile)
    assert (await engine.joined(ALICE, upload)).is_complete()
    assert told == ["busy"]
    assert await content(engine, upload.id) == DATA


async def test_what_the_application_refuses_is_deleted(world: World) -> None:
    calls: list[bytes] = []

    def refuse(file: FinishedFile) -> None:
        with file.open() as opened:
            calls.append(opened.read())
        raise TypeRefused("text", ("video",))

    engine = world.engine(hooks=Hooks(before_complete=refuse))
    await send_pieces(engine)
    upload = await join(engine)
    with pytest.raises(UploadError):
        await engine.joined(ALICE, upload)
    assert calls == [DATA]


async def test_an_ordinary_upload_is_no_piece(world: World) -> None:
    engine = world.engine()
    whole, _ = await engine.create(ALICE, Create("film.mp4", 5))
    await written(engine, whole, 0, b"whole")
    with pytest.raises(UploadError):
        await engine.join(ALICE, Create("film.mp4", None, at_most=0), [whole.id])


@pytest.mark.disk_only
async def test_bytes_are_copied_by_the_kernel(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(world.storage, LocalStorage)

    def read(*_: object) -> bytes:
        raise AssertionError("a byte was read")

    engine = world.engine()
    await send_pieces(engine)
    with monkeypatch.context() as watched:
        watched.setattr("wherry.storage.copying.os.pread", read)
        upload = await engine.joined(ALICE, await join(engine))
    assert await content(engine, upload.id) == DATA
