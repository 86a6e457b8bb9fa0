"""`wherry webhooks`, as an operator types it."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from pathlib import Path

import pytest
from tests.cli.command import wherry

from wherry.app.backends import open_catalog
from wherry.catalog import Catalog
from wherry.core.webhooks import Delivery, Outbox
from wherry.settings import Settings
from wherry.testing.catalog.deliveries import complete

URL = "https://app.example/hook"


def change(data: Path) -> list[str]:
    """Record three webhooks: one to be sent, one given up, one answered 410."""

    async def record(catalog: Catalog) -> list[str]:
        dates, ids = count(1_800_000_000), count(1)
        outbox = Outbox((URL,), lambda: float(next(dates)), lambda: str(next(ids)))
        catalog.announce_to(outbox)
        for name in ("a", "b", "c"):
            await complete(catalog, name)
        _, second, third = await catalog.deliveries()
        await catalog.update_delivery(second.id, lambda d: d.give_up(1.0, "it answered 500"))

        def refuse(delivery: Delivery) -> Delivery:
            return delivery.take("t", 1.0, 2.0).refuse("t", 1.5, "it answered 410")

        await catalog.update_delivery(third.id, refuse)
        await catalog.close()
        return [each.id for each in (second, third)]

    return asyncio.run(record(open_catalog(Settings(data=data))))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_webhooks_are_listed_with_what_came_of_them(data: Path) -> None:
    ended = change(data)
    lines = wherry("webhooks", "list", "--data", data).stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["msg_1", "pending", "0"],
        ["msg_2", "failed", "0"],
        ["msg_3", "gone", "1"],
    ]
    assert URL in lines[1]
    assert lines[1].endswith("(it answered 500)")
    failed = ["--state", "failed", "--state", "gone"]
    found = wherry("webhooks", "list", "--json", *failed, "--data", data).stdout.splitlines()
    assert [json.loads(line)["id"] for line in found] == ended
    first = json.loads(found[0])
    assert first["data"]["upload_id"] == "b"
    assert first["date"] == "2027-01-15T08:00:01+00:00"
    assert first["next_attempt"] is None


def test_webhooks_are_sent_again(data: Path) -> None:
    second, _ = change(data)
    wherry("webhooks", "replay", "--data", data, code=2)
    unknown = wherry("webhooks", "replay", "msg_unknown", "--data", data, code=1)
    assert "msg_unknown" in unknown.stderr
    assert wherry("webhooks", "replay", second, "--data", data).stdout == "to be sent again: 1\n"
    again = wherry("webhooks", "replay", "--failed", "--data", data).stdout
    assert again == "to be sent again: 1\n"
    pending = wherry("webhooks", "list", "--state", "pending", "--data", data).stdout
    assert len(pending.splitlines()) == 3
