"""The contract of a catalog about webhooks: recorded with the change, sent by one, kept a while."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import count

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment
from wherry.core.errors import BytesMissing, NotThere
from wherry.core.pages import PageRequest
from wherry.core.states import State
from wherry.core.webhooks import Delivery, DeliveryState, DeliveryTaken, Outbox
from wherry.testing.catalog.fixtures import (
    check_no_defaults,
    create_whole_upload,
    new_upload,
    raises,
    together,
)

ONE, OTHER = "https://one.example/hook", "https://other.example/hook"


def outbox(*urls: str) -> Outbox:
    """An outbox whose dates are 1000, 1001, …, and whose identifiers are in the same order."""
    dates, ids = count(1000), count()
    return Outbox(urls or (ONE,), lambda: float(next(dates)), lambda: f"{next(ids):03d}")


async def complete(catalog: Catalog, name: str, assessment: Assessment | None = None) -> None:
    await create_whole_upload(catalog, name)
    assessment_id = None if assessment is None else assessment.id
    await catalog.update(name, lambda u: u.complete_at_once(1.0, assessment_id), assessment)


async def a_completion_records_one_delivery_for_each_endpoint(catalog: Catalog) -> None:
    catalog.announce_to(outbox(ONE, OTHER))
    await create_whole_upload(catalog, "u")
    await catalog.update("u", lambda u: u.begin_completion("c", 1.0, 2.0))
    assert await catalog.deliveries() == []
    upload = await catalog.update("u", lambda u: u.complete("c", "a"))
    found = await catalog.deliveries()
    assert sorted(each.url for each in found) == [ONE, OTHER]
    assert len({each.id for each in found}) == 2
    for each in found:
        assert each.type == "upload.completed"
        assert each.state is DeliveryState.PENDING
        assert json.loads(each.payload) == {
            "type": "upload.completed",
            "timestamp": "1970-01-01T00:16:40.000Z",
            "data": {
                "upload_id": "u",
                "owner": "o",
                "filename": "film.mp4",
                "size": 100,
                "content_type": None,
                "digest": str(upload.received_digest),
                "assessment_id": "a",
                "ticket_id": None,
            },
        }


async def a_change_that_completes_nothing_records_no_delivery(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    await complete(catalog, "u")
    await catalog.update("u", lambda u: u)
    await catalog.update("u", lambda u: u.discard(2.0))
    await catalog.create(new_upload("half"))
    await raises(
        BytesMissing, lambda: catalog.update("half", lambda u: u.complete_at_once(1.0, None))
    )
    await catalog.update("half", lambda u: u.cancel(2.0))
    assert len(await catalog.deliveries()) == 1


async def a_file_that_arrives_at_once_records_a_delivery(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    whole = replace(new_upload("u"), state=State.COMPLETE)
    for _ in range(2):  # a repeated request
        catalog.submit_create(whole, Assessment("a", "u", "o", 1.0)).result()
    [delivery] = await catalog.deliveries()
    assert json.loads(delivery.payload)["data"]["upload_id"] == "u"


async def an_assessment_that_ends_records_a_delivery(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    for name in ("good", "bad"):
        await complete(catalog, name, Assessment(f"of-{name}", name, "o", 1.0))
        await catalog.lease_assessment(2.0, lambda a: a.lease("w", 2.0, 9.0))
    await catalog.update_assessment("of-good", lambda a: a.finish("w", 3.0, {"verdict": "warn"}))
    await catalog.update_assessment("of-bad", lambda a: a.give_up("w", 3.0, "no picture"))
    await raises(
        Exception, lambda: catalog.update_assessment("of-good", lambda a: a.finish("w", 4.0, {}))
    )
    bodies = [json.loads(each.payload) for each in await catalog.deliveries()]
    ended = [body["data"] for body in bodies if body["type"] == "assessment.finished"]
    told = [(data["assessment_id"], data["state"], data["verdict"]) for data in ended]
    assert told == [("of-good", "done", "warn"), ("of-bad", "failed", None)]
    assert [data["upload_id"] for data in ended] == ["good", "bad"]
    assert ended[0]["filename"] == "film.mp4"
    assert ended[1]["problem"] == "no picture"
    assert len(bodies) == 4


async def without_an_outbox_there_are_no_deliveries(catalog: Catalog) -> None:
    await complete(catalog, "u")
    assert await catalog.deliveries() == []


async def a_recorded_delivery_is_loaded_unchanged(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    await complete(catalog, "u")
    [new] = await catalog.deliveries()
    full = Delivery(
        new.id,
        OTHER,
        "assessment.finished",
        '{"ü": "☃"}',
        12.5,
        state=DeliveryState.GONE,
        attempts=3,
        due_at=4.25,
        token="t",  # noqa: S106
        ended_at=5.125,
        problem="Ünanswered",
    )
    check_no_defaults(full)
    assert await catalog.update_delivery(new.id, lambda _: full) == full
    assert await catalog.deliveries() == [full]
    assert await catalog.gone_endpoints() == {OTHER}
    await raises(NotThere, lambda: catalog.update_delivery("nothing", lambda d: d))


async def a_delivery_has_one_sender(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    await complete(catalog, "u")
    taken: list[str | None] = []

    async def take(token: str) -> None:
        found = await catalog.take_deliveries(ONE, 1.0, 5, lambda d: d.take(token, 1.0, 61.0))
        taken.extend(each.token for each in found)

    await together(*(partial(take, f"t{n}") for n in range(5)))
    [winner] = taken
    assert winner is not None
    assert await catalog.take_deliveries(ONE, 60.0, 5, lambda d: d.take("t", 60.0, 99.0)) == []
    [again] = await catalog.take_deliveries(ONE, 61.0, 5, lambda d: d.take("t", 61.0, 99.0))
    assert again.attempts == 2
    late = partial(catalog.update_delivery, again.id, lambda d: d.deliver(winner, 62.0))
    await raises(DeliveryTaken, late)
    done = await catalog.update_delivery(again.id, lambda d: d.deliver("t", 62.0))
    assert done.state is DeliveryState.DELIVERED


async def deliveries_are_taken_when_they_are_due(catalog: Catalog) -> None:
    catalog.announce_to(outbox(ONE, OTHER))
    for name in ("a", "b", "c"):
        await complete(catalog, name)

    async def take(now: float, most: int = 9) -> list[str]:
        found = await catalog.take_deliveries(ONE, now, most, lambda d: d.take("t", now, now + 10))
        assert all(each.url == ONE for each in found)
        return [json.loads(each.payload)["data"]["upload_id"] for each in found]

    assert await take(1.0, most=2) == ["a", "b"]
    assert await take(2.0) == ["c"]
    assert await take(3.0) == []
    first = (await catalog.deliveries())[0]
    mine = next(each for each in await catalog.deliveries() if each.url == ONE)
    assert first.date == mine.date
    await catalog.update_delivery(mine.id, lambda d: d.retry("t", 3.0, "refused", 5.0))
    assert await take(7.0) == []
    assert await take(8.0) == ["a"]
    assert await take(11.5) == ["b"]


async def deliveries_are_listed_by_date_and_state(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    for name in ("a", "b", "c"):
        await complete(catalog, name)
    ids = [each.id for each in await catalog.deliveries()]
    assert ids == ["msg_000", "msg_001", "msg_002"]
    await catalog.update_delivery(ids[1], lambda d: d.give_up(5.0, "not wanted"))
    assert [d.id for d in await catalog.deliveries({DeliveryState.FAILED})] == [ids[1]]
    assert [d.id for d in await catalog.deliveries({DeliveryState.PENDING})] == [ids[0], ids[2]]
    assert await catalog.deliveries(set()) == []
    first = await catalog.deliveries(None, PageRequest(limit=2, newest=True))
    assert [each.id for each in first] == [ids[2], ids[1]]
    rest = await catalog.deliveries(None, PageRequest(first.next, limit=2, newest=True))
    assert [each.id for each in rest] == [ids[0]]
    assert rest.next is None


async def deliveries_outlive_their_upload_until_they_are_forgotten(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    for name in ("a", "b"):
        await complete(catalog, name)
    await catalog.forget(["a", "b"])
    first, second = await catalog.deliveries()
    await catalog.update_delivery(first.id, lambda d: d.give_up(5.0, "not wanted"))
    await catalog.forget_deliveries(4.5, 10.0)
    assert len(await catalog.deliveries()) == 2
    await catalog.forget_deliveries(5.0, 10.0)
    assert await catalog.deliveries() == [second]  # it is still to be sent
    await catalog.update_delivery(second.id, lambda d: d.give_up(11.0, "not wanted"))
    await catalog.forget_deliveries(5.0, 10.0)  # the clock was set back
    assert await catalog.deliveries() == []


async def deliveries_are_counted(catalog: Catalog) -> None:
    catalog.announce_to(outbox())
    for name in ("a", "b", "c"):
        await complete(catalog, name)
    first, second, _ = await catalog.deliveries()
    await catalog.update_delivery(first.id, lambda d: d.take("t", 1.0, 2.0).deliver("t", 1.5))
    await catalog.update_delivery(second.id, lambda d: d.give_up(1.0, "not wanted"))
    counted = (await catalog.counts(2.0)).deliveries
    assert dict(counted) == {DeliveryState.PENDING: 1, DeliveryState.FAILED: 1}
