"""Without hooks, a completion is one trip: it names the file, records it, and leaves one name."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, World, content, created, new_world, settings_in, written

from wherry.core.digests import Digest, crc64
from wherry.core.errors import (
    Busy,
    BytesMissing,
    ContentRefused,
    DigestDiffers,
    FileDigestMismatch,
    StorageFailed,
    TypeRefused,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.requests import Caller, Create
from wherry.core.upload import State, Upload
from wherry.engine import FinishedFile, Hooks
from wherry.testing.faults import crash_points

pytestmark = pytest.mark.anyio

BOB = Caller("bob")
DATA = bytes(range(200)) * 5
DAY = 24 * 3600.0


def left(world: World) -> list[str]:
    """What lies in both folders of a disk."""
    assert world.temp_chunks.is_dir()
    return world.stored()


async def whole(world: World, data: bytes = DATA) -> Upload:
    engine = world.engine()
    upload = await created(engine, len(data))
    return await written(engine, upload, 0, data) if data else upload


class Spy:
    """Counts the calls of `thing`."""

    def __init__(self, thing: Any) -> None:
        self.called: list[str] = []
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.called.append(name)
            return found(*args, **options)

        return call


async def test_a_completion_is_one_change_and_starts_no_thread(world: World) -> None:
    upload = await whole(world)
    storage, catalog = Spy(world.storage), Spy(world.catalog)
    engine, before = world.engine(storage, catalog), set(threading.enumerate())
    await engine.complete(ALICE, upload.id)
    assert catalog.called == ["around", "submit_update"]
    assert storage.called == ["link", "delete"]
    assert "wherry-lease" not in {thread.name for thread in {*threading.enumerate()} - before}
    assert await content(engine, upload.id) == DATA
    assert world.stored() == [f"files/{upload.id}.mp4"]
    catalog.called.clear()
    await engine.complete(ALICE, upload.id)
    assert catalog.called == ["around"]


async def cancelled(world: World, upload: Upload) -> None:
    await world.engine().cancel(ALICE, upload.id)


async def expired(world: World, upload: Upload) -> None:
    world.now += 2 * DAY
    await world.engine().sweep()


async def swept_after_its_end_was_recorded(world: World, upload: Upload) -> None:
    """As if the process had died between the record and the bytes."""
    await world.catalog.update(upload.id, lambda u: u.cancel(world.now))
    await world.engine().sweep()


async def vanished(world: World, upload: Upload) -> None:
    world.lose(upload.id)
    assert (await world.engine().status(ALICE, upload.id)).state is State.EXPIRED


async def refused(world: World, upload: Upload) -> None:
    world.settings = world.settings.model_copy(update={"allowed_types": ("video/mp4",)})
    with pytest.raises(TypeRefused):
        await world.engine().complete(ALICE, upload.id)


async def refused_for_its_digest(world: World, upload: Upload) -> None:
    with pytest.raises(FileDigestMismatch):
        await world.engine().complete(ALICE, upload.id, Digest.of_crc(1))


@pytest.mark.parametrize(
    "end",
    [
        cancelled,
        expired,
        swept_after_its_end_was_recorded,
        vanished,
        refused,
        refused_for_its_digest,
    ],
)
async def test_an_upload_that_ends_after_a_crash_leaves_nothing(
    tmp_path: Path, end: Callable[[World, Upload], Any]
) -> None:
    ended = 0
    for point in crash_points():
        world = new_world(tmp_path / str(point.at))
        upload = await whole(world)
        with point:
            engine = world.engine(point.wrap(world.storage), point.wrap(world.catalog))
            await engine.complete(ALICE, upload.id)
        await world.until_decided()
        world.restart()
        engine = world.engine()
        # It is never taken for removed, whatever is asked first.
        for _ in range(2):
            found = await engine.status(ALICE, upload.id)
            assert found.state in (State.RECEIVING, State.COMPLETE), f"at {point}"
            await engine.sweep()
        if found.is_complete():
            assert await content(engine, upload.id) == DATA
            assert world.stored() == [f"files/{upload.id}.mp4"], f"at {point}"
        else:
            await end(world, upload)
            assert world.stored() == [], f"at {point}"
            ended += 1
        await world.close()
    assert ended > 4


async def test_a_completion_without_hooks_is_waited_for_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `answer_within` says. A state `completing` would cost each upload a second commit."""
    world.settings = world.settings.model_copy(update={"answer_within": 0.01})
    engine, upload, link = world.engine(), await whole(world), world.storage.link
    is_late = threading.Event()

    def slow(*args: Any) -> bool:
        assert is_late.wait(60)
        return link(*args)

    monkeypatch.setattr(world.storage, "link", slow)
    asyncio.get_running_loop().call_later(0.1, is_late.set)
    assert (await engine.complete(ALICE, upload.id)).is_complete()


async def test_another_file_of_its_name_is_not_taken_for_the_upload(world: World) -> None:
    engine, upload = world.engine(), await whole(world)
    world.finished(upload).write_bytes(b"something else")
    for _ in range(2):
        with pytest.raises(StorageFailed, match="another file"):
            await engine.complete(ALICE, upload.id)
        assert world.unfinished(upload.id).read_bytes() == DATA
        assert world.finished(upload).read_bytes() == b"something else"
    world.finished(upload).unlink()
    await engine.complete(ALICE, upload.id)
    assert await content(engine, upload.id) == DATA


async def test_an_empty_upload_that_misses_its_turn_after_a_crash_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its turn is looked at when another one waits: so that one goes through the queue.
    monkeypatch.setattr("wherry.engine.admitting_at_once.LARGEST", 1)
    world.settings = settings_in(world.settings.data, max_open=1)
    upload = await whole(world, b"")
    world.storage.link(upload.id, upload.suffix, 0)
    world.now += world.settings.turn + 1
    other = await created(world.engine(), 10)
    assert other.state is State.RECEIVING
    assert (await world.catalog.load(upload.id)).state is State.EXPIRED
    assert left(world) == [f"temp_chunks/{other.id}"]


async def test_a_hook_sees_a_file_that_a_server_without_hooks_had_linked(world: World) -> None:
    upload = await whole(world)
    world.storage.link(upload.id, upload.suffix, len(DATA))
    seen: list[bytes] = []

    def scan(file: FinishedFile) -> None:
        with file.open() as opened:
            seen.append(opened.read())
        if len(seen) == 1:
            raise RuntimeError

    engine = world.engine(hooks=Hooks(before_complete=scan))
    with pytest.raises(Exception, match="before_complete failed"):
        await engine.complete(ALICE, upload.id)
    assert (await engine.complete(ALICE, upload.id)).is_complete()
    assert seen == [DATA, DATA]
    assert world.stored() == [f"files/{upload.id}.mp4"]


async def test_a_linked_file_that_a_hook_refuses_is_deleted(world: World) -> None:
    upload = await whole(world)
    world.storage.link(upload.id, upload.suffix, len(DATA))

    def scan(file: FinishedFile) -> None:
        raise ContentRefused("a virus")

    with pytest.raises(ContentRefused):
        await world.engine(hooks=Hooks(before_complete=scan)).complete(ALICE, upload.id)
    assert world.stored() == []


@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "refused"])
async def test_a_file_that_no_hook_has_accepted_is_checked_though_only_its_name_is_left(
    world: World, *, is_accepted: bool
) -> None:
    upload = await whole(world)
    world.storage.link(upload.id, upload.suffix, len(DATA))
    await world.catalog.update(
        upload.id, lambda u: u.begin_completion("died", world.now, world.now)
    )
    world.lose(upload.id)
    told: list[str] = []

    def scan(file: FinishedFile) -> None:
        with file.open() as opened:
            assert opened.read() == DATA
        told.append("scan")
        if not is_accepted:
            raise ContentRefused("a virus")

    def on_complete(file: FinishedFile) -> str:
        told.append("on_complete")
        return "theirs"

    engine = world.engine(hooks=Hooks(scan, on_complete))
    if is_accepted:
        assert (await engine.complete(ALICE, upload.id)).assessment_id == "theirs"
        assert told == ["scan", "on_complete"]
        assert world.stored() == [f"files/{upload.id}.mp4"]
    else:
        with pytest.raises(ContentRefused):
            await engine.complete(ALICE, upload.id)
        assert told == ["scan"]
        assert world.stored() == []


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
async def test_a_volume_without_hard_links_completes_by_a_rename(
    world: World, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuses)
    for _ in range(2):
        upload = await whole(world)
        assert (await world.engine().complete(ALICE, upload.id)).is_complete()
        assert await content(world.engine(), upload.id) == DATA
    assert world.leftovers() == []


async def test_many_who_ask_at_once_get_the_same_answer(world: World) -> None:
    upload = await whole(world)
    engines = [world.engine() for _ in range(3)]
    answers = await asyncio.gather(*(e.complete(ALICE, upload.id) for e in engines * 4))
    assert len({answer.assessment_id for answer in answers}) == 1
    assert all(answer.is_complete() for answer in answers)
    [assessment] = await world.catalog.assessments()
    assert assessment.id == answers[0].assessment_id


async def test_who_does_not_own_it_cannot_complete_it(world: World) -> None:
    upload = await whole(world)
    engine = world.engine()
    found = await asyncio.gather(
        engine.complete(BOB, upload.id), engine.complete(ALICE, upload.id), return_exceptions=True
    )
    assert isinstance(found[0], UploadNotFound)
    assert isinstance(found[1], Upload)
    with pytest.raises(UploadNotFound):
        await engine.complete(BOB, upload.id)


async def test_what_is_asked_too_early_or_with_another_digest_changes_nothing(
    world: World,
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA[:500])
    with pytest.raises(BytesMissing) as early:
        await engine.complete(ALICE, upload.id)
    assert early.value.missing == ((500, 1000),)
    assert (await engine.status(ALICE, upload.id)).state is State.RECEIVING
    await written(engine, upload, 500, DATA[500:])
    right = Digest.of_crc(crc64(DATA))
    assert (await engine.complete(ALICE, upload.id, right)).digest == right
    with pytest.raises(DigestDiffers):
        await engine.complete(ALICE, upload.id, Digest.of_crc(1))
    assert await content(engine, upload.id) == DATA


class Paused(Spy):
    """The catalog of a process that is stopped between the link and the record."""

    def __init__(self, thing: Any) -> None:
        super().__init__(thing)
        self.linked, self.go_on = threading.Event(), threading.Event()

    def submit_update(self, *args: Any) -> Any:
        self.linked.set()
        assert self.go_on.wait(60)
        return self._thing.submit_update(*args)


@pytest.mark.parametrize("way", ["cancel", "expire", "complete"])
async def test_while_one_process_is_stopped_in_between_no_other_ends_the_upload(
    world: World, way: str
) -> None:
    upload = await whole(world)
    paused = Paused(world.catalog)
    other = world.engine()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.engine(catalog=paused).complete, ALICE, upload.id)
        await anyio.to_thread.run_sync(paused.linked.wait)
        if way == "cancel":
            with pytest.raises(Busy):
                await other.cancel(ALICE, upload.id)
        elif way == "expire":
            world.now += 2 * DAY
            assert await other.sweep() == []
        else:
            tasks.start_soon(other.complete, ALICE, upload.id)
            await anyio.sleep(0)
        assert (await other.status(ALICE, upload.id)).state is State.RECEIVING
        paused.go_on.set()
    assert (await other.complete(ALICE, upload.id)).is_complete()
    assert await content(other, upload.id) == DATA
    assert world.stored() == [f"files/{upload.id}.mp4"]


async def test_an_upload_that_ended_meanwhile_keeps_no_name(world: World) -> None:
    """Where there are no locks, it may end between the link and the record."""
    upload = await whole(world)
    paused = Paused(world.catalog)

    async def complete() -> None:
        with pytest.raises(UploadGone):
            await world.engine(catalog=paused).complete(ALICE, upload.id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(complete)
        await anyio.to_thread.run_sync(paused.linked.wait)
        await world.catalog.update(upload.id, lambda u: u.cancel(world.now))
        paused.go_on.set()
    assert left(world) == [f"temp_chunks/{upload.id}"]
    await world.engine().sweep()
    assert world.stored() == []


async def test_a_completion_goes_on_and_is_logged_when_its_client_goes_away(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wherry")
    upload = await whole(world)
    paused = Paused(world.catalog)
    asked = asyncio.create_task(world.engine(catalog=paused).complete(ALICE, upload.id))
    await anyio.to_thread.run_sync(paused.linked.wait)
    asked.cancel()
    paused.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await world.catalog.load(upload.id)).is_complete()
    assert sum(line.startswith("complete ") for line in caplog.messages) == 1


@pytest.mark.disk_only
async def test_a_disk_that_fails_while_linking_is_an_error_and_asking_again_completes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    upload = await whole(world)
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", fails)
        with pytest.raises(UploadError) as failed:
            await world.engine().complete(ALICE, upload.id)
    assert failed.value.code == "storage-failed"
    assert (await world.engine().complete(ALICE, upload.id)).is_complete()


async def test_a_folder_that_cannot_be_removed_is_left_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    upload = await whole(world)
    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", fails)
        assert (await world.engine().complete(ALICE, upload.id)).is_complete()
    assert left(world) == [f"files/{upload.id}.mp4", f"temp_chunks/{upload.id}"]
    [swept] = await world.engine().sweep()
    assert (swept.action, swept.upload_id) == ("orphan", upload.id)
    assert await content(world.engine(), upload.id) == DATA
    assert world.stored() == [f"files/{upload.id}.mp4"]


async def test_a_file_of_unknown_length_is_cut_to_what_came(world: World) -> None:
    engine = world.engine()
    upload, _ = await engine.create(ALICE, Create("film.mp4", None, at_most=5000))
    await written(engine, upload, 0, DATA)
    await world.catalog.update(upload.id, lambda u: u.declare_length(len(DATA)))
    await engine.complete(ALICE, upload.id)
    assert world.finished(upload).read_bytes() == DATA
