"""The end is sent second, and the client asks what both ends show; no upload waits for that."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.client.conftest import File
from tests.client.fake import Asked, Broken, FakeServer, problem, serving
from typer.testing import CliRunner

from wherry.cli import app
from wherry.client import AsyncClient, EarlyVerdict, StoppedEarly, early_verdict
from wherry.client.progress import ProgressReporter
from wherry.core.limits import KiB, MiB

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_line")]

MESSAGE = "The file has no video."
LENGTH = 12 * MiB


def known(verdict: str, severity: str) -> dict[str, Any]:
    finding = {"code": "VIDEO-MISSING", "severity": severity, "message": MESSAGE}
    return {"state": "known", "verdict": verdict, "policy": "web", "findings": [finding]}


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer()
    server.tail, server.early = 512 * KiB, known("fail", "fail")
    return server


@pytest.fixture(autouse=True)
def _slow_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any upload counts as one that takes long, from its first bytes on."""
    monkeypatch.setattr(early_verdict, "LEAST_LEFT", 0.0)
    monkeypatch.setattr(ProgressReporter, "seconds_left", 1.0)


async def test_the_end_is_sent_second_and_what_both_ends_show_is_told_while_the_rest_waits(
    server: FakeServer, transport: Broken, file: File
) -> None:
    told: list[EarlyVerdict] = []
    is_told = anyio.Event()

    async def hold(verb: str) -> None:
        if verb == "chunk" and len(server.verbs("chunk")) > 3:
            with anyio.fail_after(60):
                await is_told.wait()

    def tell(early: EarlyVerdict) -> None:
        told.append(early)
        is_told.set()

    server.hold = hold
    path = file(LENGTH)
    client = AsyncClient("http://test/api", transport=transport, concurrency=1)
    result = await client.upload(path, on_early=tell)
    offsets = [int(asked.query["offset"]) for asked in server.verbs("chunk")]
    assert offsets[:2] == [0, LENGTH - 512 * KiB]
    assert bytes(server.only.data) == path.read_bytes()
    assert [(one.verdict, one.findings[0].message) for one in told] == [("fail", MESSAGE)]
    assert result.bytes_sent_twice == 0


async def test_an_upload_that_is_stopped_is_cancelled(
    server: FakeServer, transport: Broken, file: File
) -> None:
    async def hold(verb: str) -> None:
        if verb == "chunk" and len(server.verbs("chunk")) > 3:
            await anyio.sleep_forever()

    server.hold = hold
    client = AsyncClient("http://test/api", transport=transport, concurrency=1)
    with pytest.raises(StoppedEarly, match=MESSAGE):
        await client.upload(file(LENGTH), on_early=lambda early: early.verdict == "fail")
    assert server.only.state == "cancelled"
    assert server.verbs("complete") == []


@pytest.mark.parametrize("answer", [problem(404, "not-found"), problem(500, "storage-failed")])
async def test_an_upload_goes_on_where_the_early_verdict_cannot_be_had(
    answer: Any, server: FakeServer, transport: Broken, file: File
) -> None:
    server.trouble = lambda asked: answer if asked.verb == "early-verdict" else None
    path = file(LENGTH)
    client = AsyncClient("http://test/api", transport=transport)
    await client.upload(path, on_early=lambda early: pytest.fail("there is nothing to tell"))
    assert bytes(server.only.data) == path.read_bytes()
    assert len(server.verbs("early-verdict")) == 1


async def test_an_upload_is_complete_although_a_look_hangs(
    server: FakeServer, transport: Broken, file: File
) -> None:
    async def hold(verb: str) -> None:
        if verb == "early-verdict":
            await anyio.sleep_forever()

    server.hold = hold
    client = AsyncClient("http://test/api", transport=transport)
    with anyio.fail_after(60):
        await client.upload(file(LENGTH), on_early=lambda early: None)
    assert server.only.state == "complete"


async def test_nobody_asks_who_does_not_want_to_know(
    server: FakeServer, transport: Broken, file: File
) -> None:
    await AsyncClient("http://test/api", transport=transport).upload(file(LENGTH))
    assert server.verbs("early-verdict") == []


def test_the_command_says_early_what_the_report_will_find_and_goes_on(
    server: FakeServer, file: File
) -> None:
    asked: list[Asked] = []
    # The last chunk is refused until somebody has asked: so there is time for the answer.
    server.after = lambda one: asked.append(one) if one.verb == "early-verdict" else None
    server.trouble = lambda one: (
        problem(503, "storage-failed", retryable=True)
        if one.verb == "chunk" and len(server.verbs("chunk")) > 3 and not asked
        else None
    )
    with serving(server) as port:
        words = ["upload", str(file(LENGTH)), f"http://127.0.0.1:{port}/api", "--parallel", "1"]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert f"early verdict FAIL: {MESSAGE}" in done.stderr
    assert "the upload goes on" in done.stderr
    assert "complete" in done.stdout


def test_what_is_only_information_is_not_said(server: FakeServer, file: File) -> None:
    server.early = known("pass", "info")
    with serving(server) as port:
        words = ["upload", str(file(LENGTH)), f"http://127.0.0.1:{port}/api", "--stop-early"]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert MESSAGE not in done.stderr
