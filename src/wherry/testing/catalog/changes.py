"""The contract of a catalog about changes: whole or not at all, in order, none lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment
from wherry.core.digests import crc64
from wherry.core.errors import Superseded
from wherry.core.ranges import Part, Range
from wherry.core.upload import Upload
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_upload, raises, together


async def a_change_that_raises_changes_nothing(catalog: Catalog) -> None:
    before = await catalog.create(new_upload("u"))

    def fail(upload: Upload) -> Upload:
        upload.lease(Range(0, 5), "t", 1.0).record("t", (Part(0, 5, 1),))
        raise ZeroDivisionError

    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: catalog.update("u", fail),
        lambda: catalog.update("u", fail, Assessment("a", "u", "o", 1.0)),
        lambda: catalog.advance(0.0, lambda _: ["u"], fail),
    ]
    for attempt in attempts:
        await raises(ZeroDivisionError, attempt)
    assert await catalog.uploads() == [before]
    assert await catalog.assessments() == []


async def a_change_that_raises_does_not_affect_others(catalog: Catalog) -> None:
    await catalog.create(new_upload("u", length=40))
    refused = 0

    async def one(number: int) -> None:
        nonlocal refused
        token, part = f"t{number}", Part(number, number + 1, number)
        try:
            await catalog.update("u", lambda u: u.lease(part.range, token, 1.0))
            await catalog.update("u", lambda u: u.record(token if number % 2 else "wrong", (part,)))
        except Superseded:
            refused += 1

    await together(*(partial(one, number) for number in range(40)))
    assert refused == 20
    parts = (await catalog.load("u")).received.parts
    assert [(part.start, part.end) for part in parts] == [(n, n + 1) for n in range(1, 40, 2)]


async def concurrent_changes_of_one_upload_are_all_kept(catalog: Catalog) -> None:
    data = random.Random(1).randbytes(2000)
    await catalog.create(new_upload("u", length=len(data)))
    starts = list(range(0, len(data), 10))
    random.Random(2).shuffle(starts)

    async def bring(start: int) -> None:
        part = Part(start, start + 10, crc64(data[start : start + 10]), float(start))
        await catalog.update("u", lambda u: u.lease(part.range, f"t{start}", 1.0))
        after = await catalog.update("u", lambda u: u.record(f"t{start}", (part,)))
        assert not after.received.missing(part.range)

    await together(*(partial(bring, start) for start in starts))
    upload = await catalog.load("u")
    assert upload.received.parts == (Part(0, 2000, crc64(data), 1990.0),)
    assert upload.leases == ()


async def changes_are_made_in_the_order_of_their_calls(catalog: Catalog) -> None:
    await catalog.create(new_upload("u"))
    for number in range(30):
        seen = await catalog.update("u", lambda u: replace(u, filename=u.filename + "x"))
        assert seen.filename == "film.mp4" + "x" * (number + 1)
        assert await catalog.load("u") == seen


async def parts_that_grow_or_merge_in_one_change_are_recorded_as_they_are_then(
    catalog: Catalog,
) -> None:
    """More of them than one statement may write: half grow, and the others are merged away."""
    count = 150
    await catalog.create(new_upload("u", length=20 * count))

    def fill(upload: Upload, starts: range, length: int) -> Upload:
        for start in starts:
            part = Part(start, start + length, start, 1.0)
            upload = upload.lease(part.range, "t", 1.0).record("t", (part,))
        return upload

    await catalog.update("u", lambda u: fill(u, range(0, 20 * count, 10), 5))
    grown = await catalog.update("u", lambda u: fill(u, range(5, 20 * count, 20), 5))
    found = (await catalog.load("u")).received
    assert [(part.start, part.end) for part in found.parts] == [
        (start, start + 15) for start in range(0, 20 * count, 20)
    ]
    assert found == grown.received


async def a_lost_lease_records_nothing(catalog: Catalog) -> None:
    await catalog.create(new_upload("u"))
    await catalog.update("u", lambda u: u.lease(Range(0, 50), "old", 1.0))
    await catalog.update("u", lambda u: u.lease(Range(10, 20), "new", 2.0))
    late = Part(0, 50, 1)
    await raises(Superseded, lambda: catalog.update("u", lambda u: u.record("old", (late,))))
    assert [lease.token for lease in (await catalog.load("u")).leases] == ["new"]
    await catalog.create(new_upload("other"))
    await catalog.update("other", lambda u: u.lease(Range(0, 1), "of-other", 1.0))
    assert await anyio.to_thread.run_sync(catalog.tokens, ["u", "none"]) == {"new"}
    assert await anyio.to_thread.run_sync(catalog.tokens, ["u", "other"]) == {"new", "of-other"}
    after = await catalog.update("u", lambda u: u.record("new", (Part(10, 20, 2),)))
    assert await catalog.load("u") == after
    assert after.received.parts == (Part(10, 20, 2),)
    assert after.leases == ()


async def a_cancelled_caller_does_not_affect_others(catalog: Catalog) -> None:
    await catalog.create(new_upload("u", length=60))
    scopes = {number: anyio.CancelScope() for number in range(60)}
    acknowledged = set()

    async def one(number: int) -> None:
        token, part = f"t{number}", Part(number, number + 1, number)
        with scopes[number]:
            await catalog.update("u", lambda u: u.lease(part.range, token, 1.0))
            await catalog.update("u", lambda u: u.record(token, (part,)))
            acknowledged.add(number)

    async def leave() -> None:
        for number in range(0, 60, 3):
            scopes[number].cancel()
            await anyio.lowlevel.checkpoint()

    await together(*(partial(one, number) for number in scopes), leave)
    upload = await catalog.load("u")
    safe = {number for number in scopes if not upload.received.missing(Range(number, number + 1))}
    assert acknowledged >= {number for number in scopes if number % 3}
    assert acknowledged <= safe
    assert await catalog.update("u", lambda u: u.cancel(9.0)) == await catalog.load("u")


async def reading_does_not_wait_for_a_change(catalog: Catalog) -> None:
    before = await catalog.create(new_upload("u"))
    holding, go_on = threading.Event(), threading.Event()

    def slowly(upload: Upload) -> Upload:
        holding.set()
        assert go_on.wait(CHECK_TIMEOUT)
        return upload.lease(Range(0, 50), "slow", 1.0)

    async with anyio.create_task_group() as group:
        # On another event loop, because a catalog may call `slowly` on the loop of its caller.
        elsewhere = partial(anyio.run, catalog.update, "u", slowly)
        group.start_soon(anyio.to_thread.run_sync, elsewhere)
        try:
            assert await anyio.to_thread.run_sync(holding.wait, CHECK_TIMEOUT)
            with anyio.fail_after(CHECK_TIMEOUT / 2):
                assert await catalog.load("u") == before
                assert await catalog.uploads() == [before]
                assert await catalog.assessments() == []
                assert (await catalog.queue(0.0)).reserved == before.limit
        finally:
            go_on.set()
    assert (await catalog.load("u")).holds("slow")
