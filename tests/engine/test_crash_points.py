"""Stop at every crash point of every verb, restart, go on: no lie, no loss."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.engine.conftest import (
    ALICE,
    Bytes,
    Gathered,
    World,
    content,
    created,
    new_world,
    written,
)

from wherry.catalog import Catalog
from wherry.core.errors import UploadError, UploadGone
from wherry.core.requests import Create
from wherry.core.upload import State
from wherry.engine import Engine, FinishedFile, Hooks
from wherry.storage.local import LocalStorage
from wherry.storage.s3.storage import S3Storage
from wherry.testing.faults import CrashPoint, crash_points

pytestmark = pytest.mark.anyio

DATA = bytes(range(200)) * 5
CUTS = [(600, 1000), (0, 300), (300, 600)]
#: In PostgreSQL and S3.
BESIDE_A_RECORD = (
    "after S3Storage.reserve",
    "after S3Writer.sync",
    "after SqlCatalog.submit_update",
    "after S3Storage.link",
)


def fresh(folder: Path, point: CrashPoint, **changes: object) -> World:
    world = new_world(folder / str(point.at), **changes)
    if isinstance(world.storage, S3Storage):
        world.now = time.time()  # the store dates what it has by a clock of its own
    return world


async def assess(catalog: Catalog, now: float, is_sure: bool = True) -> None:
    """What a worker does, in no time. `is_sure`: there is something to assess."""
    claimed = await catalog.lease_assessment(now, lambda a: a.lease("w", now, now + 1))
    if claimed is None and not is_sure:
        return
    assert claimed
    await catalog.update_assessment(claimed.id, lambda a: a.finish("w", now, {}))


async def upload_everything(engine: Engine, acknowledged: set[int]) -> str:
    """As a client does it: begin or find the upload, send what is missing, complete."""
    upload = await created(engine, len(DATA), fingerprint="f")
    safe = {n for part in upload.received.parts for n in range(part.start, part.end)}
    assert acknowledged <= safe, "an acknowledged byte was lost"
    for start, end in CUTS:
        if upload.missing and not set(range(start, end)) <= safe:
            await written(engine, upload, start, DATA[start:end])
            acknowledged |= set(range(start, end))
    await engine.complete(ALICE, upload.id)
    return upload.id


@pytest.mark.usefixtures("route")
async def test_an_upload_survives_a_crash_at_any_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EVERY", "MOST"):  # so that a poured chunk has several rounds
        monkeypatch.setattr(f"wherry.engine.writing.RECORD_{name}", 150)
    points = 0
    for point in crash_points():
        await crash_and_go_on(fresh(tmp_path, point), point)
        points += 1
    assert points > 40


async def crash_and_go_on(world: World, point: CrashPoint) -> None:
    """Stop an upload at this point; then another process brings it to its end."""
    acknowledged = set[int]()
    with point:
        await upload_everything(
            world.engine(point.wrap(world.storage), point.wrap(world.catalog)), acknowledged
        )
    await world.until_decided()
    world.restart()
    world.now += world.settings.completion_lease
    engine = world.engine()
    [*known] = await world.catalog.uploads()
    if known and known[0].state in (State.COMPLETING, State.COMPLETE):
        upload_id = known[0].id
        await engine.complete(ALICE, upload_id)
    else:
        upload_id = await upload_everything(engine, acknowledged)
    assert await content(engine, upload_id) == DATA, f"at {point}"
    [assessment] = await world.catalog.assessments()
    assert assessment.upload_id == upload_id
    world.age()
    await engine.sweep()  # a crash behind a reservation or a record leaves something behind
    assert world.leftovers() == [], f"at {point}"
    await world.close()


class Noting(CrashPoint):
    """It is never reached, and notes where all points are."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.places: list[str] = []

    def reach(self, where: str) -> None:
        self.places.append(where)
        super().reach(where)


@pytest.mark.parametrize("backends", ["postgres+s3"], indirect=True)
async def test_a_pod_that_dies_beside_a_record_loses_nothing(tmp_path: Path) -> None:
    """The points between what the store has and what the database says; the rest: `test-worlds`."""
    noting = Noting()
    await crash_and_go_on(fresh(tmp_path, noting), noting)
    assert set(BESIDE_A_RECORD) <= set(noting.places), noting.places
    for place in BESIDE_A_RECORD:
        point = CrashPoint(noting.places.index(place))
        await crash_and_go_on(fresh(tmp_path, point), point)
        assert point.is_reached, place


async def test_a_cancellation_survives_a_crash_at_any_point(tmp_path: Path) -> None:
    for point in crash_points():
        world = fresh(tmp_path, point)
        upload = await created(world.engine(), len(DATA))
        await written(world.engine(), upload, 0, DATA[:500])
        with point:
            engine = world.engine(point.wrap(world.storage), point.wrap(world.catalog))
            await engine.cancel(ALICE, upload.id)
        world.restart()
        # Whoever asks again, or the sweep, brings it to its end.
        world.now += world.settings.expires_after + world.settings.slot_idle
        await world.engine().sweep()
        assert world.leftovers() == [], f"at {point}"
        with pytest.raises(UploadGone):
            await written(world.engine(), upload, 500, DATA[500:])
        await world.close()


async def test_a_sweep_survives_a_crash_at_any_point(tmp_path: Path) -> None:
    for point in crash_points():
        world = fresh(tmp_path, point, keep_files=10)
        stale = await created(world.engine(), len(DATA))
        done = await created(world.engine(), len(DATA))
        await written(world.engine(), done, 0, DATA)
        await world.engine().complete(ALICE, done.id)
        await assess(world.catalog, world.now)
        world.now += world.settings.expires_after + world.settings.slot_idle
        with point:
            await world.engine(point.wrap(world.storage), point.wrap(world.catalog)).sweep()
        world.restart()
        await world.engine().sweep()
        assert world.stored() == [], f"at {point}"
        assert (await world.catalog.load(stale.id)).state is State.EXPIRED
        await world.close()


async def test_the_hosts_hook_is_called_at_least_once_whatever_crashes(tmp_path: Path) -> None:
    for point in crash_points():
        world, called = fresh(tmp_path, point), list[str]()

        def on_complete(
            file: FinishedFile,
            theirs: Path = world.settings.data / "theirs",
            is_local: bool = isinstance(world.storage, LocalStorage),
            called: list[str] = called,
        ) -> str:
            if not is_local:
                file.download(theirs)
            elif file.path.exists():
                file.path.rename(theirs)
            called.append(file.id)
            return f"theirs-{file.id}"

        hooks = Hooks(on_complete=on_complete)
        upload = await created(world.engine(), len(DATA))
        await written(world.engine(), upload, 0, DATA)
        with point:
            storage, catalog = point.wrap(world.storage), point.wrap(world.catalog)
            await world.engine(storage, catalog, hooks).complete(ALICE, upload.id)
        world.restart()
        world.now += world.settings.completion_lease
        done = await world.engine(hooks=hooks).complete(ALICE, upload.id)
        assert done.assessment_id == f"theirs-{upload.id}"
        assert (world.settings.data / "theirs").read_bytes() == DATA, f"at {point}"
        assert called
        await world.close()


@pytest.mark.parametrize("way", ["hooks", "at-once", "in-one-request"])
async def test_a_crash_at_any_point_loses_no_webhook_and_invents_none(
    tmp_path: Path, way: str
) -> None:
    points = 0
    for point in crash_points():
        world = fresh(tmp_path, point, webhook_url="https://a.example,https://b.example")
        hooks = Hooks(on_complete=lambda file: file.id) if way == "hooks" else None
        with point:
            engine = world.engine(point.wrap(world.storage), point.wrap(world.catalog), hooks)
            if way == "in-one-request":
                await engine.receive(ALICE, Create("film.mp4", len(DATA)), Gathered(DATA))
            else:
                upload = await created(engine, len(DATA))
                await written(engine, upload, 0, DATA)
                await engine.complete(ALICE, upload.id)
        await world.until_decided()
        world.restart()
        await check_webhooks(world)
        world.now += world.settings.completion_lease
        for found in await world.catalog.uploads({State.RECEIVING, State.COMPLETING}):
            with suppress(UploadError):
                await world.engine(hooks=hooks).complete(ALICE, found.id)
        await check_webhooks(world)
        await assess(world.catalog, world.now, is_sure=False)
        await check_webhooks(world)
        await world.close()
        points += 1
    assert points > 5


async def check_webhooks(world: World) -> None:
    """Each complete upload, and each assessment that has ended, has one delivery for each URL."""
    complete = await world.catalog.uploads({State.COMPLETE})
    ended = [each for each in await world.catalog.assessments() if each.is_over]
    expected = [("upload.completed", upload.id) for upload in complete]
    expected += [("assessment.finished", each.upload_id) for each in ended]
    found = [
        (each.type, json.loads(each.payload)["data"]["upload_id"])
        for each in await world.catalog.deliveries()
    ]
    assert sorted(found) == sorted(expected * 2)


@pytest.mark.parametrize("body", [Bytes, Gathered], ids=["in-steps", "at-once"])
async def test_one_request_that_dies_leaves_nothing_the_sweep_does_not_find(
    tmp_path: Path, body: type[Bytes]
) -> None:
    for point in crash_points():
        world = fresh(tmp_path, point)
        create = Create("film.mp4", None, at_most=len(DATA) + 200)
        with point:
            engine = world.engine(point.wrap(world.storage), point.wrap(world.catalog))
            await engine.receive(ALICE, create, body(DATA))
        await world.until_decided()
        world.restart()
        await world.engine().advance()
        # The file itself has its date from the system.
        world.now = time.time() + world.settings.expires_after + world.settings.slot_idle
        await world.engine().sweep()
        for upload in await world.catalog.uploads({State.COMPLETING}):
            await world.engine().complete(ALICE, upload.id)
        assert world.leftovers() == [], f"at {point}"
        complete = await world.catalog.uploads({State.COMPLETE})
        assert world.stored() == [f"files/{upload.id}.mp4" for upload in complete], f"at {point}"
        for upload in complete:
            assert await content(world.engine(), upload.id) == DATA
        await world.close()


@pytest.mark.parametrize("body", [Bytes, Gathered], ids=["in-steps", "at-once"])
async def test_a_request_with_a_key_is_repeated_after_a_crash_at_any_point(
    tmp_path: Path, body: type[Bytes]
) -> None:
    for point in crash_points():
        world, create = fresh(tmp_path, point), Create("film.mp4", len(DATA))
        answered = None
        with point:
            engine = world.engine(point.wrap(world.storage), point.wrap(world.catalog))
            answered = await engine.receive(ALICE, create, body(DATA), key="k")
        await world.until_decided()
        world.restart()
        world.now += world.settings.completion_lease
        upload = await world.engine().receive(ALICE, create, body(DATA), key="k")
        assert answered in (None, upload), f"at {point}"
        assert await content(world.engine(), upload.id) == DATA, f"at {point}"
        assert await world.catalog.uploads() == [upload]
        [assessment] = await world.catalog.assessments()
        assert assessment.id == upload.assessment_id
        files = [name for name in world.stored() if name.startswith("files/")]
        assert files == [f"files/{upload.id}.mp4"], f"at {point}"
        await world.engine().sweep()
        assert world.leftovers() == [], f"at {point}"
        assert await content(world.engine(), upload.id) == DATA, f"at {point}"
        await world.close()


@pytest.mark.disk_only
async def test_a_full_disk_while_writing_loses_nothing_that_was_acknowledged(
    world: World,
) -> None:
    import errno

    engine = world.engine()
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA[:500])
    storage = world.storage
    assert isinstance(storage, LocalStorage)

    class Full:
        def __init__(self, writer: object) -> None:
            self.writer = writer

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.writer.__exit__(*error)  # type: ignore[attr-defined]

        def write(self, at: int, data: memoryview) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def sync(self) -> None: ...

    class FullStorage:
        def __getattr__(self, name: str) -> object:
            return getattr(storage, name)

        def open(self, *args: object) -> Full:
            return Full(storage.open(*args))  # type: ignore[arg-type]

    full = world.engine(FullStorage())  # type: ignore[arg-type]
    with pytest.raises(UploadError) as refused:
        await written(full, upload, 500, DATA[500:])
    assert refused.value.code == "disk-full"
    assert (await engine.status(ALICE, upload.id)).offset == 500
    await written(engine, upload, 500, DATA[500:])
    await engine.complete(ALICE, upload.id)
    assert await content(engine, upload.id) == DATA
