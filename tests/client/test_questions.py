"""What a client can ask besides uploading."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.client.conftest import File
from tests.client.fake import FakeServer, nth, page, problem

from wherry.client import (
    AsyncClient,
    Refused,
    UploadGone,
)
from wherry.core.limits import MiB

pytestmark = pytest.mark.anyio


async def test_an_upload_can_be_looked_at_and_cancelled(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    server.trouble = nth("chunk", 2, problem(415, "type-refused"))
    with pytest.raises(Refused):
        await client.upload(file(20 * MiB))
    status = await client.status(server.only.id)
    assert (status.state, status.size) == ("receiving", 20 * MiB)
    assert status.received_bytes == server.only.received_bytes
    await client.cancel(server.only.id)
    assert server.only.state == "cancelled"
    with pytest.raises(UploadGone):
        await client.status("unknown")


async def test_an_assessment_is_followed_step_by_step_to_its_end(
    client: AsyncClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.client.asynchronous.POLL_INTERVAL", 0.001)
    step: dict[str, Any] = {"name": "probe", "state": "running", "seconds": None}
    server.assessments = [
        {"state": "queued", "steps": []},
        {"state": "running", "steps": [step]},
        {"state": "running", "steps": [step]},
        {"state": "done", "steps": [step | {"state": "done", "seconds": 0.5}], "report": {"a": 1}},
    ]
    seen: list[str] = []
    done = await client.wait_for_assessment("a", lambda now: seen.append(now.state))
    assert seen == ["queued", "running", "done"]
    assert done.report == {"a": 1}
    assert done.steps[0].seconds == 0.5


async def test_an_assessment_is_waited_for_through_a_restart_of_the_server(
    client: AsyncClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.client.asynchronous.POLL_INTERVAL", 0.001)
    server.assessments = [{"state": "running"}, {"state": "failed", "problem": "died"}]
    server.trouble = nth("a", 2, page(502))
    assert (await client.wait_for_assessment("a")).problem == "died"


@pytest.mark.parametrize("address", ["", "example.org/api", "ftp://a/b", "http://a/b?c=d"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        AsyncClient(address)


async def test_a_name_that_is_not_utf8_is_the_same_in_one_request_and_in_chunks(
    client: AsyncClient, server: FakeServer, file: File
) -> None:
    for smart in (True, False):
        await client.upload(file(1000), filename="caf\udce9.mp4", smart=smart)
    whole, init = server.asked[0], server.asked[1]
    assert "caf%EF%BF%BD.mp4" in whole.headers["content-disposition"]
    assert json.loads(init.body)["filename"] == "caf\ufffd.mp4"
