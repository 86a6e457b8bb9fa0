"""The sender: at least once, one endpoint apart from the other, until it is given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from tests.webhooks.receiver import SECRET

from wherry.catalog import Catalog
from wherry.catalog.postgres.catalog import PostgresCatalog
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.webhooks import MAX_ATTEMPTS, Delivery, DeliveryState, Outbox
from wherry.engine import Context
from wherry.settings import Settings
from wherry.testing.catalog.deliveries import complete
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT
from wherry.testing.memory.catalog import MemoryCatalog
from wherry.testing.memory.locks import MemoryLocks
from wherry.testing.memory.storage import MemoryStorage
from wherry.webhooks import Sender, sender
from wherry.webhooks.request import Outcome, Requests
from wherry.webhooks.sender import TAKEN_FOR

pytestmark = pytest.mark.anyio

A, B = "https://a.example/hook", "https://b.example/hook"
REFUSED = Outcome("the endpoint answered 500")


@dataclass
class World:
    """A catalog with an outbox, a clock that tests move, and endpoints that tests answer for."""

    data: Path
    catalog: Catalog = field(default_factory=MemoryCatalog)
    now: float = 1000.0
    ids: int = 0
    sent: list[Delivery] = field(default_factory=list)
    answer: Callable[[Delivery], Awaitable[Outcome]] | None = None

    def new_id(self) -> str:
        self.ids += 1
        return f"{self.ids:05d}"

    def context(self, *urls: str) -> Context:
        settings = Settings(data=self.data, webhook_url=urls, webhook_secret=(SECRET,))
        return Context(
            MemoryStorage(),
            self.catalog,
            MemoryLocks(),
            settings,
            clock=lambda: self.now,
            new_id=self.new_id,
        )

    def sender(self, *urls: str) -> Sender:
        return Sender(self.context(*(urls or (A, B))))

    async def complete(self, *names: str) -> None:
        self.catalog.announce_to(Outbox((A, B), lambda: self.now, self.new_id))
        for name in names:
            await complete(self.catalog, name)

    async def send(self, delivery: Delivery) -> Outcome:
        self.sent.append(delivery)
        return Outcome() if self.answer is None else await self.answer(delivery)

    async def of(self, url: str) -> list[Delivery]:
        return [each for each in await self.catalog.deliveries() if each.url == url]

    async def until(self, is_so: Callable[[list[Delivery]], bool]) -> list[Delivery]:
        with anyio.fail_after(CHECK_TIMEOUT):
            while not is_so(found := list(await self.catalog.deliveries())):
                await anyio.sleep(0.01)
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(sender, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(Requests, "send", lambda _, delivery: world.send(delivery))
    return world


def states(deliveries: list[Delivery]) -> list[str]:
    return sorted(each.state.value for each in deliveries)


async def test_each_event_is_sent_once_to_each_endpoint(world: World) -> None:
    await world.complete(*"abcdefghij")
    async with world.sender().running():
        await world.until(lambda found: states(found) == ["delivered"] * 20)
        await anyio.sleep(0.1)
    assert len({each.id for each in world.sent}) == len(world.sent) == 20


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_two_processes_that_lead_for_a_moment_send_each_event_once(
    kind: str, world: World, request: pytest.FixtureRequest
) -> None:
    opened: list[Catalog] = []
    for _ in range(2):
        if kind == "sqlite":
            opened.append(SqliteCatalog(world.data / "catalog.db"))
        else:
            opened.append(PostgresCatalog(request.getfixturevalue("database")))
    world.catalog = opened[0]
    await world.complete(*"abcdefgh")
    first = world.sender()
    world.catalog = opened[1]
    async with first.running(), world.sender().running():
        await world.until(lambda found: states(found) == ["delivered"] * 16)
    assert len({each.id for each in world.sent}) == len(world.sent) == 16
    for catalog in opened:
        await catalog.close()


async def test_what_fails_is_tried_again_when_it_is_due_with_the_same_id(world: World) -> None:
    await world.complete("a")

    async def answer(_: Delivery) -> Outcome:
        return REFUSED if len(world.sent) == 1 else Outcome()

    world.answer = answer
    async with world.sender(A).running():
        await world.until(lambda found: any(each.due_at > world.now for each in found))
        [waiting] = await world.of(A)
        assert waiting.problem == REFUSED.problem
        await anyio.sleep(0.1)  # many rounds
        assert len(world.sent) == 1
        world.now = waiting.due_at
        await world.until(lambda found: "delivered" in states(found))
    first, second = world.sent
    assert (first.id, first.payload) == (second.id, second.payload)
    assert (first.attempts, second.attempts) == (1, 2)


async def test_an_error_of_ours_is_logged_and_ends_no_loop(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.complete("a")

    async def answer(_: Delivery) -> Outcome:
        if len(world.sent) == 1:
            raise RuntimeError("a mistake")
        return Outcome()

    world.answer = answer
    async with world.sender(A).running():
        await world.until(lambda found: any(each.due_at > world.now for each in found))
        world.now += 60
        await world.until(lambda found: "delivered" in states(found))
    assert "a mistake" in caplog.text


async def test_an_endpoint_that_hangs_does_not_hold_up_another(world: World) -> None:
    await world.complete(*"abcdefghij")

    async def answer(delivery: Delivery) -> Outcome:
        if delivery.url == A:
            await anyio.sleep_forever()
        return Outcome()

    world.answer = answer
    async with world.sender().running():
        await world.until(lambda found: states(found).count("delivered") == 10)
        hanging = [each for each in world.sent if each.url == A]
        assert 0 < len(hanging) <= sender.AT_ONCE


async def test_a_delivery_is_given_up_after_a_day_and_kept(world: World) -> None:
    await world.complete("a")

    async def answer(_: Delivery) -> Outcome:
        return REFUSED

    def is_over(found: list[Delivery]) -> bool:
        [mine] = [each for each in found if each.url == A]
        if mine.token is None:  # it is not being sent
            world.now = max(world.now, mine.due_at)
        return mine.state is DeliveryState.FAILED

    world.answer, begun = answer, world.now
    async with world.sender(A).running():
        await world.until(is_over)
    assert 0.8 * 24 * 3600 < world.now - begun < 1.1 * 24 * 3600
    [given_up] = await world.of(A)
    assert given_up.attempts == len(world.sent) == MAX_ATTEMPTS
    assert given_up.problem == "the endpoint answered 500"
    [unwanted] = await world.of(B)
    assert unwanted.problem == "the endpoint is no longer in webhook_url"
    assert unwanted.attempts == 0


async def test_an_endpoint_that_is_gone_gets_nothing_until_it_is_replayed(world: World) -> None:
    await world.complete("a")

    async def answer(_: Delivery) -> Outcome:
        return Outcome("the endpoint answered 410", is_gone=True)

    world.answer = answer
    async with world.sender(A).running():
        await world.until(lambda found: "gone" in states(found))
        await world.complete("b")
        await world.until(lambda found: "failed" in states([d for d in found if d.url == A]))
        gone, given_up = await world.of(A)
        assert states([gone, given_up]) == ["failed", "gone"]
        assert len(world.sent) == 1
        world.answer = None
        for each in (gone, given_up):
            await world.catalog.update_delivery(each.id, lambda d: d.replay())
        await world.until(lambda found: states(found).count("delivered") == 2)
    assert sorted(each.id for each in world.sent[1:]) == [gone.id, given_up.id]


async def test_an_endpoint_that_asks_for_a_pause_is_left_alone(world: World) -> None:
    await world.complete("a")

    async def answer(_: Delivery) -> Outcome:
        return Outcome("the endpoint answered 429", pause=3600.0)

    world.answer = answer
    async with world.sender(A).running():
        await world.until(lambda found: any(each.problem for each in found if each.url == A))
        [waiting] = await world.of(A)
        assert waiting.due_at == world.now + 3600
        await world.complete("b")
        await anyio.sleep(0.2)  # many rounds
        assert len(world.sent) == 1


async def test_a_sender_that_stops_gives_back_what_it_has_taken(world: World) -> None:
    await world.complete("a")

    async def answer(_: Delivery) -> Outcome:
        await anyio.sleep_forever()
        return Outcome()

    world.answer = answer
    async with world.sender(A).running():
        with anyio.fail_after(CHECK_TIMEOUT):
            while not world.sent:
                await anyio.sleep(0.01)
    [back] = await world.of(A)
    assert back.is_due(world.now)
    assert (back.attempts, back.token) == (0, None)
    world.answer = None
    async with world.sender(A).running():
        await world.until(lambda found: "delivered" in states(found))


async def test_what_a_process_had_taken_when_it_died_is_sent_when_its_time_is_over(
    world: World,
) -> None:
    await world.complete("a")
    until = world.now + TAKEN_FOR
    await world.catalog.take_deliveries(A, world.now, 9, lambda d: d.take("dead", world.now, until))
    async with world.sender(A).running():
        await anyio.sleep(0.1)
        assert world.sent == []
        world.now = until
        await world.until(lambda found: "delivered" in states(found))
    assert world.sent[0].attempts == 2


async def test_a_server_that_stops_begins_no_attempt(world: World) -> None:
    await world.complete("a")
    context = world.context(A)
    context.is_stopping = lambda: True
    async with Sender(context).running():
        await anyio.sleep(0.1)
    assert world.sent == []


async def test_the_log_does_not_show_the_path_of_an_endpoint(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.complete("a")
    with caplog.at_level("INFO", "wherry"):
        async with world.sender(A).running():
            await world.until(lambda found: "delivered" in states(found))
    [line] = [r.getMessage() for r in caplog.records if "webhook-delivered" in r.getMessage()]
    assert "url=https://a.example attempt=1" in line
    assert "/hook" not in caplog.text
