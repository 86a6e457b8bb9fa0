"""A request that is cancelled leaves nothing behind that still writes, promises or runs."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, Held, World, content, created, written

from wherry.body import Ended, First, Sink
from wherry.catalog import Change
from wherry.core.assessment import Assessment
from wherry.core.errors import NoRoom, Superseded, UploadGone
from wherry.core.ranges import Range
from wherry.core.requests import Create, Write
from wherry.core.upload import State, Upload
from wherry.engine import FinishedFile, Hooks
from wherry.storage import Writer
from wherry.storage.writer import LocalWriter

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("route")]

DATA = bytes(range(250)) * 4
LONG = 60.0  #: Seconds after which a test has failed, however busy the machine is.


async def cancelled_often(task: asyncio.Task[Upload]) -> None:
    """By `Task.cancel`, which no scope of anyio keeps out."""
    for _ in range(3):
        task.cancel()
        for _ in range(10):  # whatever waits gets its chance to leave
            await asyncio.sleep(0)


async def test_a_request_cancelled_while_it_opens_its_range_leaves_no_lock(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    begun, finish, real = threading.Event(), threading.Event(), world.storage.open

    def slow(upload_id: str, within: Range) -> Writer:
        begun.set()
        finish.wait(60)
        return real(upload_id, within)

    world.storage.open = slow  # type: ignore[method-assign]
    task = asyncio.create_task(written(engine, upload, 0, DATA))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.storage.open = real  # type: ignore[method-assign]
    with anyio.fail_after(60):
        await written(world.engine(), upload, 0, DATA)


async def test_a_request_cancelled_again_while_it_opens_its_range_leaves_no_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.engine.writing.GATHER_FOR", 0.0)
    engine, upload = world.engine(), await created(world.engine(), len(DATA))
    begun, finish, real = threading.Event(), threading.Event(), world.storage.open

    def slow(upload_id: str, within: Range) -> Writer:
        begun.set()
        finish.wait(LONG)
        return real(upload_id, within)

    class Late(Bytes):
        """A body that is waited for while its range is opened already."""

        async def gather(self, most: int) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr(world.storage, "open", slow)
    task = asyncio.create_task(engine.write(ALICE, Write(upload.id, 0), Late(DATA)))
    await asyncio.to_thread(begun.wait, LONG)
    await cancelled_often(task)
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.setattr(world.storage, "open", real)
    with world.storage.open(upload.id, Range(0, len(DATA))):  # nobody has it locked
        pass
    await written(world.engine(), upload, 0, DATA)


async def test_a_request_cancelled_while_it_records_waits_for_the_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, upload = world.engine(), await created(world.engine(), len(DATA))
    begun, finish, submit = threading.Event(), threading.Event(), world.catalog.submit_update

    def submit_update(upload_id: str, change: Change, *more: Assessment) -> Future[Upload]:
        def slow(before: Upload) -> Upload:
            after = change(before)
            if after.received.count:
                begun.set()
                finish.wait(LONG)
            return after

        return submit(upload_id, slow, *more)

    monkeypatch.setattr(world.catalog, "submit_update", submit_update)
    task = asyncio.create_task(written(engine, upload, 0, DATA))
    await asyncio.to_thread(begun.wait, LONG)
    await cancelled_often(task)
    assert not task.done()
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await engine.status(ALICE, upload.id)).offset == len(DATA)


def note_closings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads on which files of uploads are closed from here on."""
    threads: list[str] = []
    close = LocalWriter.__exit__

    def noted(writer: LocalWriter, *how: Any) -> None:
        threads.append(threading.current_thread().name)
        close(writer, *how)

    monkeypatch.setattr(LocalWriter, "__exit__", noted)
    return threads


@pytest.mark.disk_only
async def test_a_file_is_closed_on_a_thread_of_the_disk_when_its_upload_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last closing of a large file that was removed takes seconds."""
    threads = note_closings(monkeypatch)
    engine, upload = world.engine(), await created(world.engine(), len(DATA))
    body, gone = Held(DATA), list[UploadGone]()

    async def write() -> None:
        with pytest.raises(UploadGone) as refused:
            await engine.write(ALICE, Write(upload.id, 0), body)
        gone.append(refused.value)

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await body.begun.wait()
        await engine.cancel(ALICE, upload.id)
    assert gone
    assert threads
    assert all(name.startswith("wherry-disk") for name in threads)


@pytest.mark.disk_only
async def test_a_file_whose_record_is_refused_is_closed_on_a_thread_of_the_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has ended the upload meanwhile, and has removed its file."""
    engine, upload = world.engine(), await created(world.engine(), len(DATA))
    sync, loop = LocalWriter.sync, asyncio.get_running_loop()

    def sync_late(writer: LocalWriter) -> None:
        sync(writer)
        ended = world.engine().cancel(ALICE, upload.id)
        asyncio.run_coroutine_threadsafe(ended, loop).result(LONG)

    monkeypatch.setattr(LocalWriter, "sync", sync_late)
    threads = note_closings(monkeypatch)
    with pytest.raises(UploadGone):
        await written(engine, upload, 0, DATA)
    assert threads
    assert all(name.startswith("wherry-disk") for name in threads)


@pytest.mark.disk_only
async def test_a_request_that_comes_late_to_its_lock_overwrites_nothing(
    world: World, route: str
) -> None:
    """Another process takes the range, writes and records just before we lock it."""
    older, newer = world.engine(), world.engine()
    upload = await created(older, len(DATA))
    real, loop = world.storage.open, asyncio.get_running_loop()
    # Whoever takes a lease has tried it without one before.
    left = 2 if route == "leased" else 1

    def late(upload_id: str, within: Range) -> Writer:
        nonlocal left
        left -= 1
        if not left:
            world.storage.open = real  # type: ignore[method-assign]
            other = written(newer, upload, 0, DATA)
            asyncio.run_coroutine_threadsafe(other, loop).result(LONG)
        return real(upload_id, within)

    world.storage.open = late  # type: ignore[method-assign]
    if route == "leased":
        with pytest.raises(Superseded):
            await written(older, upload, 0, b"\xff" * len(DATA))
    else:  # what it finds received, it throws away
        assert (await written(older, upload, 0, b"\xff" * len(DATA))).offset == len(DATA)
    await newer.complete(ALICE, upload.id)
    assert await content(newer, upload.id) == DATA


async def test_a_completion_that_is_stopped_waits_for_the_hook_and_is_not_begun_twice(
    world: World,
) -> None:
    begun, finish = threading.Event(), threading.Event()
    running = most = 0

    def on_complete(file: FinishedFile) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        begun.set()
        finish.wait(60)
        running -= 1
        return "one"

    hooks = Hooks(on_complete=on_complete)
    first, second = world.engine(hooks=hooks), world.engine(hooks=hooks)
    upload = await created(first, len(DATA))
    await written(first, upload, 0, DATA)
    async with anyio.create_task_group() as group:
        async with first.running():
            asking = asyncio.create_task(first.complete(ALICE, upload.id))
            await asyncio.to_thread(begun.wait)

            async def take_over() -> None:
                assert (await second.complete(ALICE, upload.id)).assessment_id == "one"

            group.start_soon(take_over)
            asyncio.get_running_loop().call_later(0.3, finish.set)
        asking.cancel()
    assert most == 1


async def test_who_asks_while_another_process_completes_gets_the_same_answer(world: World) -> None:
    one, other = world.engine(), world.engine()
    upload = await created(one, len(DATA))
    await written(one, upload, 0, DATA)
    real, loop = world.catalog.around, asyncio.get_running_loop()
    answers: list[str | None] = []

    def late(upload_id: str, within: Range) -> Upload:
        """What is read is out of date by the time it is looked at."""
        found = real(upload_id, within)
        if found.state is State.RECEIVING and not answers:
            answers.append(None)
            done = asyncio.run_coroutine_threadsafe(other.complete(ALICE, upload.id), loop)
            answers.append(done.result(60).assessment_id)
        return found

    world.catalog.around = late  # type: ignore[method-assign]
    assert (await one.complete(ALICE, upload.id)).assessment_id == answers[1] is not None


async def test_a_cancelled_init_promises_no_space(world: World) -> None:
    settings = world.settings.model_copy(update={"max_reserved": 1000})
    engine = World(world.storage, world.catalog, settings, world.now, world.ids).engine()
    for pause in (0, 0, 0.001, 0.002, 0.005):
        task = asyncio.create_task(engine.create(ALICE, Create("a", 1000)))
        await asyncio.sleep(pause)
        task.cancel()
        try:
            upload, _ = await task
        except asyncio.CancelledError:
            continue
        await engine.cancel(ALICE, upload.id)
    with anyio.fail_after(60):
        while True:
            try:
                await engine.create(ALICE, Create("a", 1000))
            except NoRoom:  # what was cancelled is on its way out
                await anyio.sleep(0.01)
            else:
                break


@pytest.mark.disk_only
async def test_a_scanner_is_not_asked_about_a_file_that_the_host_has_moved(world: World) -> None:
    scanned: list[Path] = []

    def scan(file: FinishedFile) -> None:
        assert file.path.exists()
        scanned.append(file.path)

    calls = 0

    def on_complete(file: FinishedFile) -> str:
        nonlocal calls
        calls += 1
        if file.path.exists():
            file.path.rename(world.settings.data / "theirs")
        if calls == 1:
            raise RuntimeError("died after it had moved the file")
        return "moved"

    engine = world.engine(hooks=Hooks(before_complete=scan, on_complete=on_complete))
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA)
    with pytest.raises(Exception, match="on_complete failed"):
        await engine.complete(ALICE, upload.id)
    assert (await engine.complete(ALICE, upload.id)).assessment_id == "moved"
    assert len(scanned) == 1


@pytest.mark.parametrize("way", ["cancel", "expire"])
async def test_a_file_whose_hand_over_failed_leaves_nothing_when_it_is_given_up(
    world: World, way: str
) -> None:
    def on_complete(file: FinishedFile) -> str:
        raise RuntimeError

    engine = world.engine(hooks=Hooks(on_complete=on_complete))
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA)
    with pytest.raises(Exception, match="on_complete failed"):
        await engine.complete(ALICE, upload.id)
    assert len(list(world.files.iterdir())) == 1
    if way == "cancel":
        # A crash after the record: asked again, it is cancelled already.
        await world.catalog.update(upload.id, lambda u: u.cancel(world.now))
        await engine.cancel(ALICE, upload.id)
    else:
        world.now += world.settings.expires_after
        await engine.sweep()
    assert list(world.files.iterdir()) == []


@pytest.mark.disk_only
async def test_a_late_reservation_replaces_no_finished_file(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA), fingerprint="f")
    await written(engine, upload, 0, DATA)
    await engine.complete(ALICE, upload.id)
    world.storage.reserve(upload.id, len(DATA))
    world.storage.finish(upload.id, upload.suffix, len(DATA))
    assert world.finished(upload).read_bytes() == DATA
    assert world.leftovers() == []


async def test_a_completion_that_only_renamed_is_synced_by_who_takes_it_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA)
    await world.catalog.update(
        upload.id, lambda u: u.begin_completion("dead", world.now, world.now)
    )
    # The process died between the rename and everything that follows it.
    place = world.unfinished(upload.id)
    place.rename(world.finished(upload))
    synced: list[os.stat_result] = []
    from wherry.storage import disk

    real = disk.sync_file

    def sync_file(fd: int) -> None:
        synced.append(os.fstat(fd))
        real(fd)

    monkeypatch.setattr(disk, "sync_file", sync_file)
    assert (await engine.complete(ALICE, upload.id)).state is State.COMPLETE
    files = world.files.stat()
    assert any(os.path.samestat(files, one) for one in synced)
    assert world.leftovers() == []


async def test_a_later_round_takes_nothing_from_a_newer_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.engine.writing.RECORD_EVERY", 500)
    engine = world.engine()
    upload = await created(engine, len(DATA))
    in_second, go_on = anyio.Event(), anyio.Event()

    class Slow(Bytes):
        """Another request for the second half comes while the first half is written."""

        async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
            ended = await super().pour(sink, limit, first)
            in_second.set()
            await go_on.wait()
            return ended

    class Newer(Bytes):
        async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
            await super().pour(sink, 0, first)
            go_on.set()
            await anyio.sleep(0.1)
            return await super().pour(sink, limit)

    outcome: list[str] = []

    async def older() -> None:
        try:
            await engine.write(ALICE, Write(upload.id, 0), Slow(b"\xff" * len(DATA)))
        except (Superseded, UploadGone) as error:
            outcome.append(error.code)

    async with anyio.create_task_group() as group:
        group.start_soon(older)
        await in_second.wait()
        await engine.write(ALICE, Write(upload.id, 500), Newer(DATA[500:]))
    assert outcome == ["superseded"]
    assert (await engine.status(ALICE, upload.id)).offset == len(DATA)
