"""The contract of a catalog about assessments: one per upload, one worker at a time."""

from __future__ import annotations

from functools import partial

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment, AssessmentState, LeaseLost, NotQueued, Step
from wherry.core.errors import BytesMissing
from wherry.testing.catalog.fixtures import create_whole_upload, new_upload, raises, together


async def completion_queues_one_assessment(catalog: Catalog) -> None:
    await create_whole_upload(catalog, "u")
    await catalog.create(new_upload("half"))
    lost = Assessment("lost", "half", "o", 1.0)
    await raises(
        BytesMissing,
        lambda: catalog.update("half", lambda u: u.begin_completion("c", 1.0, 2.0), lost),
    )
    assert await catalog.assessments() == []

    await catalog.update("u", lambda u: u.begin_completion("c", 1.0, 2.0))
    first = Assessment("first", "u", "o", 3.0, steps=(Step("probe"),))
    done = await catalog.update("u", lambda u: u.complete("c", "first"), first)
    assert done.is_complete()
    await together(
        *(
            partial(catalog.update, "u", lambda u: u, Assessment(f"a{n}", "u", "o", 4.0))
            for n in range(5)
        )
    )
    assert await catalog.assessments() == [first]
    assert await catalog.load_assessment("first") == first


async def an_assessment_has_one_worker(catalog: Catalog) -> None:
    for name, at in (("young", 2.0), ("old", 1.0)):
        await create_whole_upload(catalog, name)
        await catalog.update(name, lambda u: u, Assessment(f"of-{name}", name, "o", at))

    async def lease(token: str, now: float) -> str | None:
        found = await catalog.lease_assessment(now, lambda a: a.lease(token, now, now + 10.0))
        return None if found is None else found.id

    leased: list[str | None] = []

    async def work(token: str) -> None:
        leased.append(await lease(token, 5.0))

    await together(*(partial(work, f"w{n}") for n in range(6)))
    assert sorted(leased, key=str) == [None] * 4 + ["of-old", "of-young"]
    assert await lease("late", 14.0) is None
    assert await lease("heir", 15.0) == "of-old"
    await raises(
        LeaseLost, lambda: catalog.update_assessment("of-old", lambda a: a.renew("w0", 99.0))
    )
    report = {"schema": "assessment.v1", "findings": [{"start": 1.5, "end": None}], "ü": True}
    steps = (Step("probe", "done", 0.25), Step("integrity"))
    await catalog.update_assessment("of-old", lambda a: a.with_steps("heir", steps))
    done = await catalog.update_assessment("of-old", lambda a: a.finish("heir", 16.0, report))
    assert await catalog.load_assessment("of-old") == done
    assert (done.state, done.attempts, done.report) == (AssessmentState.DONE, 2, report)
    assert [found.id for found in await catalog.assessments()] == ["of-old", "of-young"]
    assert await lease("last", 99.0) == "of-young"
    assert await lease("last", 99.0) is None


async def the_highest_priority_is_leased_first_and_then_the_oldest(catalog: Catalog) -> None:
    given = {"old": (1.0, 0), "low": (0.0, -3), "high": (4.0, 5), "also-high": (3.0, 5)}
    for name, (at, priority) in given.items():
        await create_whole_upload(catalog, name)
        queued = Assessment(f"of-{name}", name, "o", at, priority=priority)
        await catalog.update(name, lambda u: u, queued)

    async def lease(now: float) -> str | None:
        found = await catalog.lease_assessment(now, lambda a: a.lease("w", now, now + 10.0))
        return None if found is None else found.id

    assert [await lease(5.0) for _ in range(2)] == ["of-also-high", "of-high"]
    # What a worker left behind has its place among those that wait; a new priority counts at once.
    await catalog.update_assessment("of-low", lambda a: a.prioritise(6))
    order = ["of-low", "of-also-high", "of-high", "of-old", None]
    assert [await lease(15.0) for _ in range(5)] == order
    await raises(NotQueued, lambda: catalog.update_assessment("of-low", lambda a: a.prioritise(7)))
    assert (await catalog.load_assessment("of-low")).priority == 6


async def no_more_assessments_are_leased_than_may_run_at_once(catalog: Catalog) -> None:
    for number in range(6):
        await create_whole_upload(catalog, f"u{number}")
        queued = Assessment(f"a{number}", f"u{number}", "o", float(number))
        await catalog.update(f"u{number}", lambda u: u, queued)
    leased: list[str] = []

    async def work(token: str, now: float) -> None:
        found = await catalog.lease_assessment(now, lambda a: a.lease(token, now, now + 10.0), 2)
        if found is not None:
            leased.append(found.id)

    await together(*(partial(work, f"w{n}", 5.0) for n in range(6)))
    assert sorted(leased) == ["a0", "a1"]
    assert [await catalog.leased_assessments(now) for now in (5.0, 14.0, 15.0)] == [2, 2, 0]
    # Those of workers that are gone do not count.
    await together(*(partial(work, f"v{n}", 15.0) for n in range(6)))
    assert sorted(leased) == ["a0", "a0", "a1", "a1"]
