"""The contract of a catalog about what threads call, which wait for no event loop."""

from __future__ import annotations

from asyncio import wrap_future
from dataclasses import replace

from anyio import to_thread

from wherry.catalog import Catalog
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment
from wherry.core.errors import NoRoom, UploadNotFound
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Lease, State
from wherry.testing.catalog.fixtures import new_upload, raises


async def an_upload_that_arrived_is_recorded_with_its_assessment(catalog: Catalog) -> None:
    parts = PartSet((Part(0, 100, 7, 1.0),))
    arrived = replace(new_upload("u"), state=State.COMPLETE, received=parts, assessment_id="a")
    queued = Assessment("a", "u", "o", 1.0)
    assert await wrap_future(catalog.submit_create(arrived, queued)) == arrived
    assert await catalog.load("u") == arrived
    assert await catalog.load_assessment("a") == queued
    # Asked again with other facts, it is the one that was recorded.
    other = replace(arrived, filename="other.mp4")
    assert await wrap_future(catalog.submit_create(other)) == arrived


async def an_arrival_that_the_check_refuses_is_not_recorded(catalog: Catalog) -> None:
    await catalog.create(replace(new_upload("open"), slot_until=20.0))
    seen: list[Queue] = []

    def refuse(queue: Queue) -> None:
        seen.append(queue)
        raise NoRoom

    new = replace(new_upload("u"), created_at=10.0)
    queued = Assessment("a", "u", "o", 1.0)
    await raises(NoRoom, lambda: wrap_future(catalog.submit_create(new, queued, refuse, 30.0)))
    assert seen == [await catalog.queue(10.0, 30.0)]
    assert seen[0].open == 1
    await raises(UploadNotFound, lambda: catalog.load("u"))


async def an_arrival_of_a_file_that_is_on_its_way_is_that_upload(catalog: Catalog) -> None:
    first = await catalog.create(replace(new_upload("first"), fingerprint="f"))
    again = replace(new_upload("again"), fingerprint="f")
    assert await wrap_future(catalog.submit_create(again)) == first
    # One that is complete goes on with none.
    complete = replace(again, state=State.COMPLETE)
    assert await wrap_future(catalog.submit_create(complete)) == complete


async def an_upload_is_read_around_a_range(catalog: Catalog) -> None:
    leases = tuple(Lease(f"t{at}", Range(at, at + 5), 1.0) for at in (5, 25, 45))
    parts = PartSet(tuple(Part(at, at + 5, at, 1.0) for at in range(0, 60, 10)))
    whole = await catalog.create(replace(new_upload("u"), received=parts, leases=leases))

    for start, end in ((0, 1), (4, 10), (5, 10), (14, 31), (20, 46), (55, 100), (0, 100)):
        within = Range(start, end)
        found = await to_thread.run_sync(catalog.around, "u", within)
        near = tuple(part for part in parts.parts if part.range.overlaps(within))
        open_ = tuple(lease for lease in leases if lease.range.overlaps(within))
        assert found == replace(whole, received=PartSet(near), leases=open_), within
    await raises(UploadNotFound, lambda: to_thread.run_sync(catalog.around, "unknown", Range(0, 1)))


async def a_change_is_submitted_by_a_thread(catalog: Catalog) -> None:
    await catalog.create(new_upload("u"))

    def submit() -> None:
        changed = catalog.submit_update("u", lambda u: u.lease(Range(0, 5), "t", 1.0)).result()
        assert changed.holds("t")

    await to_thread.run_sync(submit)
    assert (await catalog.load("u")).holds("t")
