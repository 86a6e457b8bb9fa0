"""Whoever asks what an unfinished file shows is answered; nobody else pays for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest
from tests.engine.conftest import ALICE, World, created, written

from wherry.core.early_verdict import EarlyVerdict
from wherry.core.errors import UploadClosed, UploadNotFound
from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Create
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.engine.early_verdicts import SMALLEST, WAITING
from wherry.storage import StoredFile

pytestmark = [pytest.mark.anyio, pytest.mark.disk_only]

KNOWN = EarlyVerdict("web", "pass")
LENGTH = 40 * MiB


@dataclass
class Looks:
    """Looks that are counted, and have an answer that the test has chosen."""

    answer: Callable[[Upload, StoredFile], EarlyVerdict] = lambda _, __: KNOWN
    seen: list[str] = field(default_factory=list)

    def is_worthwhile(self, upload: Upload) -> bool:
        return upload.filename.endswith(".mp4")

    def look(self, upload: Upload, file: StoredFile) -> EarlyVerdict:
        self.seen.append(upload.id)
        return self.answer(upload, file)


def engine_of(world: World, looks: Looks | None) -> Engine:
    return Engine(world.engine()._context, looks=looks)


async def test_a_verdict_is_found_once_from_the_bytes_that_are_there(world: World) -> None:
    def answer(upload: Upload, file: StoredFile) -> EarlyVerdict:
        assert b"".join(file.read(Range(0, 3))) == b"abc"
        assert b"".join(file.read(Range(LENGTH - 3, LENGTH))) == b"xyz"
        return KNOWN

    looks = Looks(answer)
    engine = engine_of(world, looks)
    upload = await created(engine, LENGTH)
    await written(engine, upload, 0, b"abc")
    await written(engine, upload, LENGTH - 3, b"xyz")
    for _ in range(3):
        assert await engine.early_verdict(ALICE, upload.id) == KNOWN
    assert looks.seen == [upload.id]


async def test_a_file_is_looked_at_again_only_with_the_bytes_that_were_missing(
    world: World,
) -> None:
    needed = Range(10, 20)

    def answer(upload: Upload, file: StoredFile) -> EarlyVerdict:
        return EarlyVerdict(needs=needed) if upload.received.missing(needed) else KNOWN

    looks = Looks(answer)
    engine = engine_of(world, looks)
    upload = await created(engine, LENGTH)
    none = await engine.early_verdict(ALICE, upload.id)
    assert none.needs is not None
    assert none.needs.start == 0
    assert looks.seen == [], "there is nothing to look at"
    await written(engine, upload, 0, bytes(10))
    assert (await engine.early_verdict(ALICE, upload.id)).needs == needed
    await written(engine, upload, 10, bytes(5))
    assert (await engine.early_verdict(ALICE, upload.id)).needs == needed
    assert len(looks.seen) == 1
    await written(engine, upload, 15, bytes(5))
    assert await engine.early_verdict(ALICE, upload.id) == KNOWN
    assert len(looks.seen) == 2


async def test_while_a_file_is_looked_at_bytes_come_in_and_others_wait_up_to_a_bound(
    world: World,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(upload: Upload, file: StoredFile) -> EarlyVerdict:
        begun.set()
        assert go_on.wait(60)
        return KNOWN

    looks = Looks(answer)
    engine = engine_of(world, looks)
    uploads = [await created(engine, LENGTH) for _ in range(WAITING + 1)]
    for upload in uploads:
        await written(engine, upload, 0, b"abc")
    answers: list[EarlyVerdict] = []

    async def ask(upload: Upload) -> None:
        answers.append(await engine.early_verdict(ALICE, upload.id))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, uploads[0])
        while not begun.is_set():
            await anyio.sleep(0.01)
        for upload in uploads[1:-1]:
            tasks.start_soon(ask, upload)
        while engine._early._waiting < WAITING:
            await anyio.sleep(0.01)
        assert (await engine.early_verdict(ALICE, uploads[-1].id)).problem is not None
        await written(engine, uploads[0], 3, b"def")
        assert answers == []
        assert len(looks.seen) == 1
        go_on.set()
    assert answers == [KNOWN] * WAITING


async def test_only_the_owner_is_told_and_only_while_bytes_are_to_come(world: World) -> None:
    engine = engine_of(world, Looks())
    upload = await created(engine, 3)
    await written(engine, upload, 0, b"abc")
    with pytest.raises(UploadNotFound):
        await engine.early_verdict(Caller("bob"), upload.id)
    await engine.complete(ALICE, upload.id)
    with pytest.raises(UploadClosed):
        await engine.early_verdict(ALICE, upload.id)


async def test_where_there_is_no_early_verdict_no_client_is_asked_for_the_end_first(
    world: World,
) -> None:
    engine = engine_of(world, Looks())
    large = await created(engine, LENGTH)
    assert engine.early_tail(large) == LENGTH // 100
    assert engine.early_tail(await created(engine, SMALLEST - 1)) is None
    text, _ = await engine.create(ALICE, Create("notes.txt", LENGTH))
    assert engine.early_tail(text) is None
    assert (await engine.early_verdict(ALICE, text.id)).problem
    without = engine_of(world, None)
    assert without.early_tail(large) is None
    assert (await without.early_verdict(ALICE, large.id)).problem
    assert engine.early_tail(replace(large, length=None)) is None
