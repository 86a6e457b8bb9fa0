"""The contract of a catalog about the queue: its entries, what is in use, admitting at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from wherry.catalog import Catalog
from wherry.core.admission import Entry, OpenUpload, Queue, Taken
from wherry.core.errors import UploadNotFound
from wherry.core.limits import Limits
from wherry.core.ranges import Part, Range
from wherry.core.upload import State, Upload
from wherry.testing.catalog.fixtures import create_whole_upload, new_upload, raises, together


def waiting(name: str, since: float, owner: str = "o") -> Upload:
    new = new_upload(name, owner=owner)
    return replace(new, state=State.WAITING, queued_at=since)


async def the_queue_counts_open_uploads_and_reserved_bytes(catalog: Catalog) -> None:
    def held(name: str, owner: str, limit: int, until: float, state: State) -> Upload:
        return replace(new_upload(name, owner=owner), limit=limit, slot_until=until, state=state)

    assert await catalog.queue(0.0) == Queue()
    for upload in (
        held("busy", "a", 1, 20.0, State.RECEIVING),
        held("idle", "a", 10, 10.0, State.RECEIVING),
        held("completing", "b", 100, 20.0, State.COMPLETING),
        held("complete", "a", 10000, 20.0, State.COMPLETE),
    ):
        await catalog.create(upload)
    queue = await catalog.queue(10.0)
    assert queue == Queue(taken={"a": Taken(1, 11), "b": Taken(1, 100)})
    assert (queue.open, queue.reserved) == (2, 111)
    assert queue.taken == {"a": Taken(1, 11), "b": Taken(1, 100)}
    assert (await catalog.queue(9.0)).taken["a"] == Taken(2, 11)
    assert (await catalog.queue(20.0)).taken["b"] == Taken(0, 100)


async def a_slot_longer_than_the_settings_allow_is_over(catalog: Catalog) -> None:
    """Such slots remain when a clock is set back, or when a setting is made smaller."""
    for name, until in (("within", 15.0), ("beyond", 15.5)):
        await catalog.create(replace(new_upload(name), slot_until=until))
    for at, latest, count in ((10.0, 15.0, 1), (10.0, 16.0, 2), (15.0, 20.0, 1)):
        assert (await catalog.queue(at, latest)).open == count
        assert (await catalog.counts(at, latest)).open == count
        counted: list[int] = []

        def choose(queue: Queue, counted: list[int] = counted) -> list[str]:
            counted.append(queue.open)
            return []

        await catalog.advance(at, choose, lambda u: u, latest)
        assert counted == [count]


async def open_uploads_are_listed_while_others_wait(catalog: Catalog) -> None:
    for name, until in (("open", 20.0), ("abandoned", 10.0), ("beyond", 31.0)):
        new = replace(new_upload(name, owner="p"), slot_until=until, began_at=4.0)
        await catalog.create(new)
    assert (await catalog.queue(10.0, 30.0)).open_uploads == ()  # not needed while none waits
    await catalog.create(waiting("next", 2.0))
    assert (await catalog.queue(10.0, 30.0)).open_uploads == (OpenUpload("p", 100, 4.0),)


async def an_upload_waits_in_the_queue_until_it_is_admitted(catalog: Catalog) -> None:
    await create_whole_upload(catalog, "back")
    await catalog.update("back", lambda u: u.enter_queue(1.5))
    await catalog.create(waiting("late", 2.0))
    await catalog.create(waiting("first", 0.0, "p"))
    entries = set((await catalog.queue(5.0)).entries)
    assert entries == {
        Entry("first", "p", 0.0, 100),
        Entry("back", "o", 1.5, 0, is_returning=True),
        Entry("late", "o", 2.0, 100),
    }
    changed = await catalog.advance(5.0, lambda queue: ["first"], lambda u: u.admit(5.0, 65.0))
    assert changed == [await catalog.load("first")]
    assert changed[0].state is State.RECEIVING
    await catalog.update("late", lambda u: u.cancel(6.0))
    queue = await catalog.queue(6.0)
    assert [entry.upload_id for entry in queue.entries] == ["back"]
    assert queue.taken["p"] == Taken(1, 100)


async def unused_uploads_were_admitted_and_sent_nothing(catalog: Catalog) -> None:
    for name in ("silent", "quick", "asking", "leased"):
        await catalog.create(replace(new_upload(name), slot_until=10.0))
    await catalog.update("quick", lambda u: u.lease(Range(0, 1), "t", 1.0))
    await catalog.update("quick", lambda u: u.record("t", (Part(0, 1, 7, 1.0),)))
    await catalog.update("leased", lambda u: u.lease(Range(0, 1), "t", 1.0))
    await catalog.update("asking", lambda u: u.keep_slot(10.0, Limits(slot_idle=10.0)))
    assert (await catalog.queue(15.0)).unused == ()  # not needed while none waits
    await catalog.create(waiting("next", 2.0))
    assert (await catalog.queue(9.0)).unused == ()
    assert (await catalog.queue(15.0)).unused == ("silent",)


async def concurrent_admissions_keep_every_limit(catalog: Catalog) -> None:
    limits = Limits(max_open=None, max_open_per_owner=3, max_reserved=700)

    def choose(queue: Queue) -> list[str]:
        return [entry.upload_id for entry in queue.admissible(limits)]

    async def one(number: int) -> None:
        await catalog.create(waiting(f"u{number}", float(number), f"o{number % 3}"))
        await catalog.advance(0.0, choose, lambda u: u.admit(0.0, 10.0))

    await together(*(partial(one, number) for number in range(50)))
    queue = await catalog.queue(0.0)
    assert (queue.open, queue.reserved, len(queue.entries)) == (7, 700, 43)
    assert max(taken.open for taken in queue.taken.values()) <= 3
    receiving = {upload.id for upload in await catalog.uploads({State.RECEIVING})}
    assert len(receiving) == 7
    assert not receiving & {entry.upload_id for entry in queue.entries}


async def an_advance_that_raises_admits_no_upload(catalog: Catalog) -> None:
    for name in ("a", "b"):
        await catalog.create(waiting(name, 0.0))
    before = await catalog.uploads()

    def change(upload: Upload) -> Upload:
        return upload.admit(0.0, 1 / (upload.id != "b"))

    await raises(ZeroDivisionError, lambda: catalog.advance(0.0, lambda _: ["a", "b"], change))
    await raises(UploadNotFound, lambda: catalog.advance(0.0, lambda _: ["a", "c"], change))
    assert await catalog.uploads() == before


async def the_same_file_again_gives_the_same_upload(catalog: Catalog) -> None:
    first = replace(new_upload("first"), fingerprint="f")
    unknown = replace(first, id="unknown", length=None)
    queued = replace(waiting("queued", 1.0), fingerprint="w")
    for new in (first, unknown, queued):
        assert await catalog.create(new) == new
        assert await catalog.create(replace(new, id="again")) == new
    for number, other in enumerate(
        (
            replace(first, owner="another"),
            replace(first, length=99),
            replace(first, limit=101),
            replace(first, fingerprint="g"),
            replace(first, fingerprint=None),
            replace(first, fingerprint=None),
        )
    ):
        new = replace(other, id=f"other{number}")
        assert await catalog.create(new) == new
    await catalog.update("first", lambda u: u.cancel(1.0))
    anew = replace(first, id="anew")
    assert await catalog.create(anew) == anew

    found: list[Upload] = []

    async def once_more(number: int) -> None:
        new = replace(first, id=f"n{number}", fingerprint="many")
        found.append(await catalog.create(new))

    await together(*(partial(once_more, number) for number in range(20)))
    assert len({upload.id for upload in found}) == 1
