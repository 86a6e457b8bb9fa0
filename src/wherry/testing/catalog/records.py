"""The contract of a catalog about records: stored unchanged, listed, counted, forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment, AssessmentState, Step
from wherry.core.digests import Digest
from wherry.core.errors import NotThere, UploadNotFound
from wherry.core.installation import Installation
from wherry.core.joining import Joining, Piece
from wherry.core.limits import LARGEST_SIZE
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Calls, Completion, Lease, State, Upload
from wherry.testing.catalog.fixtures import (
    check_no_defaults,
    create_whole_upload,
    new_ticket,
    new_upload,
    raises,
)


async def the_newest_time_is_known(catalog: Catalog) -> None:
    """The deadline clock uses it, so that it never starts before a recorded time."""
    assert await catalog.newest() is None
    complete = replace(new_upload("complete"), created_at=5.0, state=State.COMPLETE)
    await catalog.create(complete)
    assert await catalog.newest() == 5.0
    await catalog.create(replace(new_upload("u"), created_at=6.0, began_at=7.0))
    assert await catalog.newest() == 7.0
    await catalog.update("u", lambda u: u.lease(Range(0, 1), "t", 8.0))
    assert await catalog.newest() == 8.0
    await catalog.update("u", lambda u: u.record("t", (Part(0, 1, 7, 9.0),)))
    assert await catalog.newest() == 9.0
    await catalog.update("u", lambda u: u.enter_queue(10.0))
    assert await catalog.newest() == 10.0
    await catalog.update("u", lambda u: u.cancel(11.0))
    assert await catalog.newest() == 6.0  # a final state has no more deadlines
    await catalog.update("complete", lambda u: u.discard(12.0))
    assert await catalog.newest() == 12.0  # or its deletion would be in the future
    await catalog.add_ticket(replace(new_ticket("t"), created_at=13.0))
    assert await catalog.newest() == 13.0


async def a_recorded_upload_is_loaded_unchanged(catalog: Catalog) -> None:
    parts = (Part(0, 3, (1 << 64) - 1, 5.25), Part(7, LARGEST_SIZE, 1 << 63, 6.5))
    full = replace(
        new_upload("full"),
        filename="Ünïcode 🎬.mp4",
        created_at=0.5,
        began_at=0.75,
        limit=LARGEST_SIZE,
        length=LARGEST_SIZE,
        content_type="video/mp4",
        fingerprint="name-size-date",
        digest=Digest("sha-256", bytes(range(32))),
        metadata={"title": "a, b; c=d", "größe": "☃"},
        state=State.COMPLETING,
        received=PartSet(parts),
        leases=(Lease("t1", Range(3, 5), 1.5), Lease("t2", Range(5, 7), 2.5)),
        completion=Completion("c", 9.75),
        calls=Calls(2, 8.5, is_orphaned=True),
        is_named=True,
        slot_until=12.5,
        assessment_id="elsewhere",
        failure="type-refused",
        queued_at=4.25,
        discarded_at=13.125,
        ticket_id="ticket",
        completed_at=1.8e9,
        sha256="5" * 64,
        ended_at=14.25,
        joining=Joining((Piece("first", LARGEST_SIZE), Piece("second", 0)), "joined"),
    )
    check_no_defaults(full)
    await catalog.add_ticket(new_ticket("ticket"))
    assert await catalog.create(full) == full
    assert await catalog.load("full") == full
    bare = replace(full, length=None, digest=None, completion=None, leases=(), metadata={})
    assert await catalog.update("full", lambda _: bare) == bare
    assert await catalog.load("full") == bare


async def a_recorded_assessment_is_loaded_unchanged(catalog: Catalog) -> None:
    await catalog.create(new_upload("u"))
    bare = Assessment("a", "u", "o", 1.5)
    await catalog.update("u", lambda u: u, bare)
    assert await catalog.load_assessment("a") == bare
    full = Assessment(
        "a",
        "u",
        "o",
        1.5,
        state=AssessmentState.FAILED,
        attempts=3,
        token="w",  # noqa: S106
        leased_until=2.5,
        steps=(Step("probe", "done", 0.25), Step("Prüfung")),
        finished_at=3.5,
        report={"schema": "assessment.v1", "findings": [{"start": 1.5, "end": None}], "ü": True},
        problem="Ünfinished",
        priority=-7,
        tries=2,
    )
    check_no_defaults(full)
    assert await catalog.update_assessment("a", lambda _: full) == full
    assert await catalog.load_assessment("a") == full
    assert await catalog.assessments() == [full]


async def unknown_records_are_not_found(catalog: Catalog) -> None:
    def untouched(*_: object) -> Upload:
        raise AssertionError("the change of an unknown record was called")

    attempts: list[tuple[type[Exception], Callable[[], Awaitable[object]]]] = [
        (UploadNotFound, lambda: catalog.load("unknown")),
        (UploadNotFound, lambda: catalog.update("unknown", untouched)),
        (NotThere, lambda: catalog.load_assessment("nothing")),
        (NotThere, lambda: catalog.update_assessment("nothing", untouched)),  # type: ignore[arg-type]
    ]
    for expected, attempt in attempts:
        await raises(expected, attempt)
    assert await catalog.lease_assessment(0.0, untouched) is None  # type: ignore[arg-type]
    await catalog.forget(["unknown"])


async def uploads_are_listed_oldest_first(catalog: Catalog) -> None:
    for number in (3, 1, 2, 0):
        new = replace(new_upload(f"u{number}", owner="ab"[number % 2]), created_at=float(number))
        await catalog.create(new)
    await catalog.update("u1", lambda u: u.cancel(9.0))
    await catalog.update("u2", lambda u: u.lease(Range(0, 1), "t", 1.0))

    async def ids(states: set[State] | None = None, owner: str | None = None) -> list[str]:
        return [upload.id for upload in await catalog.uploads(states, owner)]

    assert await ids() == ["u0", "u1", "u2", "u3"]
    assert await ids(owner="b") == ["u1", "u3"]
    assert await ids({State.RECEIVING}) == ["u0", "u2", "u3"]
    assert await ids({State.RECEIVING, State.CANCELLED}, "b") == ["u1", "u3"]
    assert await ids(set()) == []
    assert await catalog.uploads() == [await catalog.load(id_) for id_ in await ids()]


async def forgetting_an_upload_removes_all_its_records(catalog: Catalog) -> None:
    for name in ("a", "b"):
        await create_whole_upload(catalog, name)
        await catalog.update(name, lambda u: u.begin_completion("c", 1.0, 2.0))
        await catalog.update(
            name, lambda u: u.complete("c", None), Assessment(f"of-{name}", name, "o", 1.0)
        )
    await catalog.forget(["a", "a", "never-was"])
    await raises(UploadNotFound, lambda: catalog.load("a"))
    await raises(UploadNotFound, lambda: catalog.update("a", lambda u: u))
    await raises(NotThere, lambda: catalog.load_assessment("of-a"))
    assert [upload.id for upload in await catalog.uploads()] == ["b"]
    assert [found.id for found in await catalog.assessments()] == ["of-b"]
    again = await catalog.create(new_upload("a"))
    assert (await catalog.load("a")).received == again.received == PartSet()


async def used_space_counts_all_existing_bytes(catalog: Catalog) -> None:
    assert await catalog.used() == 0
    for name in ("a", "b", "c"):
        await create_whole_upload(catalog, name)
    await catalog.create(new_upload("begun"))
    await catalog.update("begun", lambda u: u.lease(Range(0, 7), "t", 1.0))
    await catalog.update("begun", lambda u: u.record("t", (Part(0, 7, 7, 1.0),)))
    await catalog.create(replace(new_upload("full", length=1000), state=State.COMPLETE))
    assert await catalog.used() == 1307
    for name in ("a", "b"):
        await catalog.update(name, lambda u: u.begin_completion("c", 1.0, 2.0))
        await catalog.update(name, lambda u: u.complete("c", None))
    assert await catalog.used() == 1307
    await catalog.update("a", lambda u: u.discard(3.0))
    assert await catalog.used() == 1207
    await catalog.update("c", lambda u: u.cancel(3.0))
    assert await catalog.used() == 1107
    await catalog.forget(["a", "b", "full", "begun"])
    assert await catalog.used() == 0


async def used_space_leaves_out_files_that_the_application_moved(catalog: Catalog) -> None:
    await create_whole_upload(catalog, "moved")
    await catalog.update("moved", lambda u: u.begin_completion("c", 1.0, 2.0))
    await catalog.update("moved", lambda u: u.complete("c", None).discard(2.0))
    assert await catalog.used() == 0


async def a_catalog_belongs_to_the_storage_that_came_first(catalog: Catalog) -> None:
    assert await catalog.identify("c") == Installation("c", None)
    assert await catalog.identify("d", "s") == Installation("c", "s")
    assert await catalog.identify("d", "t") == Installation("c", "s")
    assert await catalog.identify("d", "t", replace=True) == Installation("c", "t")
    assert await catalog.identify("d") == Installation("c", "t")
