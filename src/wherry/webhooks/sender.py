"""The loops that send deliveries, one for each endpoint, in the process that leads.

    1. take      the attempt is counted; no other process sends it until then    catalog
    2. send      the request                                                     network
    3. record    delivered, or due again later, or given up                      catalog

The process may die between any two of them. The delivery is then due again when the time it was
taken for has run out, so it is sent at least once, and may be sent
twice, with the same `webhook-id`.

Rule 1: an endpoint that is slow, or does not answer, does not affect the others.

Rule 2: a loop does not end. What fails is logged and tried again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Unpack
from urllib.parse import urlsplit

import anyio

from wherry.catalog.pages import every_record
from wherry.core.errors import NotThere
from wherry.core.webhooks import Delivery, DeliveryState, DeliveryTaken, delay_after
from wherry.engine import Context
from wherry.events import Event, Facts
from wherry.webhooks.request import TIMEOUT, Outcome, Requests

#: How often each endpoint's deliveries are looked up, in seconds.
POLL_INTERVAL = 1.0
#: How many requests each endpoint gets at once.
AT_ONCE = 4
#: For how long a delivery is taken, in seconds: longer than an attempt and its record can last.
TAKEN_FOR = 2 * TIMEOUT
#: How many deliveries of an endpoint that is gone are given up at once.
MANY = 100

#: The event of an attempt, by the state that it leaves.
OF_STATE = {
    DeliveryState.DELIVERED: Event.WEBHOOK_DELIVERED,
    DeliveryState.PENDING: Event.WEBHOOK_FAILED,
    DeliveryState.FAILED: Event.WEBHOOK_GIVEN_UP,
    DeliveryState.GONE: Event.WEBHOOK_ENDPOINT_GONE,
}


class Sender:
    """Sends what the catalog has for the endpoints of the settings."""

    def __init__(self, context: Context) -> None:
        self._context = context
        settings = context.settings
        self._urls = settings.webhook_url
        self._requests = Requests(
            settings.webhook_secret, settings.webhook_allow_private, context.date
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._requests)
            loops = [asyncio.create_task(self._give_up_others())]
            loops += [asyncio.create_task(self._run(url)) for url in self._urls]
            stack.push_async_callback(_end, loops)
            yield

    async def _give_up_others(self) -> None:
        """Give up what was recorded for endpoints that are no longer in the settings."""
        context = self._context
        with context.isolated(Event.BACKGROUND_FAILED, task="give up webhooks"):
            async for delivery in every_record(
                partial(context.catalog.deliveries, {DeliveryState.PENDING})
            ):
                if delivery.url not in self._urls:
                    await self._give_up(delivery, "the endpoint is no longer in webhook_url")

    async def _run(self, url: str) -> None:
        sending: set[asyncio.Task[float]] = set()
        paused_until = 0.0
        try:
            while True:
                with self._context.isolated(Event.BACKGROUND_FAILED, task="send webhooks"):
                    if anyio.current_time() >= paused_until:
                        for delivery in await self._take(url, AT_ONCE - len(sending)):
                            sending.add(asyncio.create_task(self._attempt(delivery)))
                # Those that have just been sent make room for the next ones at once.
                if sending:
                    ended, sending = await asyncio.wait(
                        sending, timeout=POLL_INTERVAL, return_when=asyncio.FIRST_COMPLETED
                    )
                    pause = max((task.result() for task in ended), default=0.0)
                    paused_until = max(paused_until, anyio.current_time() + pause)
                else:
                    await anyio.sleep(POLL_INTERVAL)
        finally:
            await _end(sending)

    async def _take(self, url: str, most: int) -> list[Delivery]:
        context = self._context
        if most == 0 or context.is_stopping():
            return []
        is_gone = url in await context.catalog.gone_endpoints()
        now, token = context.clock(), context.new_id()
        taken = await context.catalog.take_deliveries(
            url, now, MANY if is_gone else most, lambda d: d.take(token, now, now + TAKEN_FOR)
        )
        if not is_gone:
            return taken
        # Given up, and not kept for later: it may be gone for good.
        for delivery in taken:
            released = await self._record(delivery, lambda d: d.release(token, now))
            if released is not None:
                await self._give_up(released, "the endpoint has answered 410 to another webhook")
        return []

    async def _give_up(self, delivery: Delivery, problem: str) -> None:
        now = self._context.clock()
        after = await self._record(delivery, lambda d: d.give_up(now, problem))
        if after is not None and after.state is DeliveryState.FAILED:
            self._log(Event.WEBHOOK_GIVEN_UP, after, problem=problem)

    async def _attempt(self, delivery: Delivery) -> float:
        """Send it, and record what came of that. Returns how long to leave the endpoint alone."""
        context, token, begun = self._context, delivery.token or "", self._context.clock()
        outcome = Outcome("it could not be sent; the log of the server says why")
        try:
            with context.isolated(Event.BACKGROUND_FAILED, task="send a webhook"):
                outcome = await self._requests.send(delivery)
        except asyncio.CancelledError:  # the server stops, or another process leads
            with anyio.CancelScope(shield=True):
                await self._record(delivery, lambda d: d.release(token, context.clock()))
            raise
        # A crash here: it is sent again when the time that it was taken for has run out.
        now, delay = context.clock(), delay_after(delivery.attempts, random.random())  # noqa: S311

        def end(delivery: Delivery) -> Delivery:
            if outcome.problem is None:
                return delivery.deliver(token, now)
            if outcome.is_gone:
                return delivery.refuse(token, now, outcome.problem)
            return delivery.retry(token, now, outcome.problem, max(delay, outcome.pause or 0.0))

        if (after := await self._record(delivery, end)) is not None:
            event, problem = OF_STATE[after.state], after.problem
            if problem is None:
                self._log(event, after, seconds=now - begun)
            else:
                self._log(event, after, seconds=now - begun, problem=problem)
        return outcome.pause or 0.0

    async def _record(
        self, delivery: Delivery, change: Callable[[Delivery], Delivery]
    ) -> Delivery | None:
        """The changed delivery; None if it could not be changed, or another process has it."""
        with (
            self._context.isolated(Event.BACKGROUND_FAILED, task="record a webhook"),
            suppress(NotThere, DeliveryTaken),
        ):
            return await self._context.catalog.update_delivery(delivery.id, change)
        return None

    def _log(self, event: Event, delivery: Delivery, **facts: Unpack[Facts]) -> None:
        """The URL's path is left out: with many services, it is a secret."""
        parts = urlsplit(delivery.url)
        of_webhook: Facts = {
            "delivery_id": delivery.id,
            "type": delivery.type,
            "url": f"{parts.scheme}://{parts.netloc}",
            "attempt": delivery.attempts,
        }
        self._context.log_event(event, **(of_webhook | facts))


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in (tasks := list(tasks)):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
