"""A host application's hooks are foreign code: whatever they do, the engine goes on."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.engine.conftest import ALICE, World, content, created, new_world, written

from wherry.core.errors import HookEndsServer, HookFailed, StorageFailed, UploadGone
from wherry.core.upload import LOST_CALL_PAUSE, MAX_LOST_CALLS, State, Upload
from wherry.engine import Engine, FinishedFile, Hooks, background
from wherry.testing.faults import CrashPoint

pytestmark = pytest.mark.anyio

DATA = b"film" * 100


class Anything(BaseException):
    """Not an `Exception`, and nothing that anybody knows."""


RAISED: list[Callable[[], BaseException]] = [
    lambda: SystemExit(3),
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    StopIteration,
    lambda: BaseExceptionGroup("several", [SystemExit(3)]),
    Anything,
    lambda: RuntimeError("their database is away"),
]


async def whole(engine: Engine) -> Upload:
    upload = await created(engine, len(DATA))
    return await written(engine, upload, 0, DATA)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("which", ["before_complete", "on_complete"])
@pytest.mark.parametrize("make", RAISED)
async def test_whatever_a_hook_raises_is_an_answer_and_the_file_is_kept(
    world: World, make: Callable[[], BaseException], which: str, is_async: bool
) -> None:
    calls = 0

    def hook(file: FinishedFile) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise make()
        return "second"

    async def async_hook(file: FinishedFile) -> str:
        return hook(file)

    engine = world.engine(hooks=Hooks(**{which: async_hook if is_async else hook}))  # type: ignore[arg-type]
    upload = await whole(engine)
    with pytest.raises(HookFailed) as failed:
        await engine.complete(ALICE, upload.id)
    assert (failed.value.hook, failed.value.upload_id) == (which, upload.id)
    # It is not called again by itself: nothing is to be taken up.
    world.now += world.settings.completion_lease
    await engine._completing.resume()
    assert (calls, (await engine.status(ALICE, upload.id)).state) == (1, State.COMPLETING)
    assert (await engine.complete(ALICE, upload.id)).state is State.COMPLETE
    assert await content(engine, upload.id) == DATA


class Textless:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "answer",
    [Textless(), "\ud800", "", "x" * 1001, "a\0b"],
    ids=["textless", "surrogate", "empty", "long", "nul"],
)
async def test_an_assessment_id_that_cannot_be_kept_is_a_failed_hook(
    world: World, answer: object
) -> None:
    answers = iter([answer, "good"])
    engine = world.engine(hooks=Hooks(on_complete=lambda _: next(answers)))  # type: ignore[arg-type, return-value]
    upload = await whole(engine)
    with pytest.raises(HookFailed):
        await engine.complete(ALICE, upload.id)
    assert (await engine.complete(ALICE, upload.id)).assessment_id == "good"


async def test_hooks_that_never_return_hold_up_nobody_else(tmp_path: Path) -> None:
    world = new_world(tmp_path, hook_timeout=0.05, max_open=None)
    let_go, called = threading.Event(), list[str]()
    hanging = set[str]()

    def on_complete(file: FinishedFile) -> str:
        called.append(file.id)
        if file.id in hanging:
            let_go.wait(60)
        return f"of-{file.id}"

    engine = world.engine(hooks=Hooks(on_complete=on_complete))
    stuck = [await whole(engine) for _ in range(9)]
    hanging |= {upload.id for upload in stuck}
    tasks = [engine._completing.begin(upload.id) for upload in stuck]
    while len(called) < len(stuck):
        await asyncio.sleep(0.01)
    world.now += 1
    for upload in stuck:
        with pytest.raises(HookFailed, match="has not returned in time"):
            await engine.complete(ALICE, upload.id)
    other = await whole(engine)
    assert (await engine._completing.begin(other.id)).assessment_id == f"of-{other.id}"
    # Its answer still counts when it comes, and nobody has called it twice.
    let_go.set()
    for upload, done in zip(stuck, await asyncio.gather(*tasks), strict=True):
        assert done.assessment_id == f"of-{upload.id}"
    assert sorted(called) == sorted({*called})
    await world.close()


async def test_a_hook_that_never_returns_does_not_hold_up_the_end_of_the_server(
    world: World,
) -> None:
    let_go, begun = threading.Event(), threading.Event()

    def on_complete(file: FinishedFile) -> str:
        begun.set()
        let_go.wait(60)
        return "late"

    first = world.engine(hooks=Hooks(on_complete=on_complete))
    upload = await whole(first)
    async with first.running():
        asking = asyncio.create_task(first.complete(ALICE, upload.id))
        await asyncio.to_thread(begun.wait)
    with pytest.raises(asyncio.CancelledError):
        await asking
    # That the server ended is not the hook's fault, and does not count against it.
    assert (await world.catalog.load(upload.id)).calls.lost == 0
    # While it goes on in there, no other process calls it.
    world.now += world.settings.completion_lease
    assert await _lock(world, upload.id) is None
    let_go.set()
    while (right := await _lock(world, upload.id)) is None:
        await asyncio.sleep(0.01)
    right.__exit__(None, None, None)  # type: ignore[attr-defined]
    second = world.engine(hooks=Hooks(on_complete=lambda _: "again"))
    assert (await second.complete(ALICE, upload.id)).assessment_id == "again"


async def _lock(world: World, upload_id: str) -> object:
    return await asyncio.to_thread(world.locks.take, f"completing/{upload_id}")


async def test_an_overdue_coroutine_is_cancelled_and_called_again_when_asked(
    tmp_path: Path,
) -> None:
    world = new_world(tmp_path, hook_timeout=0.05, answer_within=30)
    calls, cancelled = 0, asyncio.Event()

    async def on_complete(file: FinishedFile) -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            return "second"
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return "never"

    engine = world.engine(hooks=Hooks(on_complete=on_complete))
    upload = await whole(engine)
    task = engine._completing.begin(upload.id)
    with pytest.raises(HookFailed, match="has not returned in time"):
        await task
    assert cancelled.is_set()
    assert (await engine._completing.begin(upload.id)).assessment_id == "second"
    await world.close()


@pytest.mark.parametrize("which", ["before_complete", "on_complete"])
async def test_a_hook_that_ends_its_process_each_time_is_recognised(
    world: World, which: str
) -> None:
    calls = 0

    def killing(point: CrashPoint) -> Callable[[FinishedFile], str]:
        def hook(file: FinishedFile) -> str:
            nonlocal calls
            calls += 1
            point.is_reached = True  # whatever this process does from here on has no effect
            return "never recorded"

        return hook

    async def run_into_it() -> None:
        """A process that starts, takes up what was left behind, and dies of it."""
        with (point := CrashPoint(-1)):
            storage, catalog = point.wrap(world.storage), point.wrap(world.catalog)
            hooks = Hooks(**{which: killing(point)})  # type: ignore[arg-type]
            engine = world.engine(storage, catalog, hooks)
            await engine._completing.begin(upload.id)
        world.now += world.settings.completion_lease

    upload = await whole(world.engine())
    for _ in range(MAX_LOST_CALLS):
        await run_into_it()
    assert calls == MAX_LOST_CALLS
    with pytest.raises(HookEndsServer) as told:
        await run_into_it()
    assert (told.value.hook, told.value.upload_id) == (which, upload.id)
    assert 0 < told.value.seconds <= LOST_CALL_PAUSE
    engine = world.engine(hooks=Hooks(**{which: killing(CrashPoint(-1))}))  # type: ignore[arg-type]
    await engine._completing.resume()
    assert calls == MAX_LOST_CALLS, "it is not taken up by itself any more"
    world.now += LOST_CALL_PAUSE
    await run_into_it()
    assert calls == MAX_LOST_CALLS + 1, "after a pause it has another chance"
    # A hook that was mended completes it after the next pause.
    world.now += LOST_CALL_PAUSE
    mended = world.engine(hooks=Hooks(**{which: lambda _: "mended"}))  # type: ignore[arg-type]
    assert (await mended.complete(ALICE, upload.id)).state is State.COMPLETE


async def test_a_file_of_which_the_application_was_never_told_is_not_taken_for_moved(
    world: World,
) -> None:
    told: list[str] = []

    def before_complete(file: FinishedFile) -> None:
        raise OSError("no scanner")

    def on_complete(file: FinishedFile) -> str:
        told.append(file.id)
        return "theirs"

    engine = world.engine(hooks=Hooks(before_complete, on_complete))
    upload = await whole(engine)
    with pytest.raises(HookFailed):
        await engine.complete(ALICE, upload.id)
    world.lose(upload.id)
    world.storage.discard(upload.id, upload.suffix)  # an object store has made it for the hook
    with pytest.raises(UploadGone):
        await engine.complete(ALICE, upload.id)
    assert told == []
    assert (await engine.status(ALICE, upload.id)).state is State.EXPIRED


@pytest.mark.disk_only
async def test_a_file_that_was_named_and_then_moved_is_completed(
    world: World, tmp_path: Path
) -> None:
    calls = 0

    def on_complete(file: FinishedFile) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            file.path.rename(tmp_path / "theirs")
            raise RuntimeError("their database is away")
        assert not file.path.exists()
        return "theirs"

    engine = world.engine(hooks=Hooks(on_complete=on_complete))
    upload = await whole(engine)
    with pytest.raises(HookFailed):
        await engine.complete(ALICE, upload.id)
    assert (await engine.complete(ALICE, upload.id)).assessment_id == "theirs"


async def test_whoever_completes_keeps_its_right_also_when_its_lease_has_run_out(
    world: World,
) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def on_complete(file: FinishedFile) -> str:
        begun.set()
        let_go.wait(60)
        return "one"

    hooks = Hooks(on_complete=on_complete)
    one, other = world.engine(hooks=hooks), world.engine(hooks=hooks)
    upload = await whole(one)
    first = one._completing.begin(upload.id)
    await asyncio.to_thread(begun.wait)
    world.now += 1000  # as if its process had been stopped: nobody has renewed the lease
    begun.clear()
    second = other._completing.begin(upload.id)
    await asyncio.sleep(0.5)  # the other looks every 0.2 s: it has had its chances
    assert not begun.is_set()
    with pytest.raises(Exception, match="completing this upload"):
        await other.cancel(ALICE, upload.id)
    let_go.set()
    assert (await first).assessment_id == "one"
    assert (await second).assessment_id == "one"


async def test_a_completion_that_waits_for_the_lock_is_said_to_be_taken_up_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wherry")
    upload, engine = await whole(world.engine()), world.engine()
    lease = world.settings.completion_lease
    await world.catalog.update(
        upload.id, lambda u: u.begin_completion("stopped", world.now, world.now + lease)
    )
    right = world.locks.take(f"completing/{upload.id}")
    assert right is not None
    with right:
        world.now += lease
        for _ in range(3):
            await engine._completing.resume()
    await engine._completing.begin(upload.id)
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("taken-up")]
    assert len(said) == 1


async def test_what_is_given_back_at_the_end_is_not_taken_up_by_the_one_who_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "POLL_INTERVAL", 0.001)
    called, let_go, is_stuck = list[str](), threading.Event(), threading.Event()

    async def waits(file: FinishedFile) -> str:
        called.append(file.id)
        await asyncio.Event().wait()
        raise AssertionError

    def blocks(file: FinishedFile) -> str:
        is_stuck.set()
        let_go.wait(60)
        return "of-it"

    def on_complete(file: FinishedFile) -> Awaitable[str] | str:
        return blocks(file) if file.id == stuck.id else waits(file)

    engine = world.engine(hooks=Hooks(on_complete=on_complete))
    upload, stuck = await whole(engine), await whole(engine)
    try:
        async with engine.running():
            engine._completing.begin(upload.id)
            engine._completing.begin(stuck.id)
            while not (called and is_stuck.is_set()):
                await asyncio.sleep(0.001)
    finally:
        let_go.set()
    assert (called, engine._completing._tasks) == ([upload.id], {})


async def test_a_disk_that_fails_after_a_hook_has_returned_is_not_blamed_on_the_hook(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def before_complete(file: FinishedFile) -> None:
        nonlocal calls
        calls += 1

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    engine = world.engine(hooks=Hooks(before_complete, lambda _: "theirs"))
    upload = await whole(engine)
    with monkeypatch.context() as broken:
        broken.setattr(world.storage, "finish", fail)
        for _ in range(MAX_LOST_CALLS + 1):
            with pytest.raises(StorageFailed):
                await engine.complete(ALICE, upload.id)
    assert calls == MAX_LOST_CALLS + 1
    assert (await engine.complete(ALICE, upload.id)).assessment_id == "theirs"
