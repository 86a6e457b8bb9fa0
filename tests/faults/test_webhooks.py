"""kill -9 while webhooks are recorded and sent: none is lost, and none is made up."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Flag

import httpx2
import pytest
from tests.e2e.conftest import Api
from tests.webhooks.receiver import OK, SECRET, TIMEOUT, Answer, Received, receiving

from wherry.testing.server import Server, serving

FILES = 30


def send(url: str, number: int) -> None:
    """A whole file in one request, and its answer awaited."""
    headers = {"Content-Disposition": f'attachment; filename="{number}.txt"'}
    with Api(url) as api:
        answer = api.http.post("/chunked-upload/upload", content=b"film", headers=headers)
        assert answer.status_code == 200, answer.text


def complete_uploads(server: Server) -> set[str]:
    records = sqlite3.connect(server.data / "catalog.sqlite")
    found = records.execute("SELECT id FROM uploads WHERE state = 'complete'").fetchall()
    records.close()
    return {upload_id for (upload_id,) in found}


def uploads_in(seen: list[Received]) -> set[str]:
    return {str(each.event["data"]["upload_id"]) for each in seen}


@pytest.mark.slow
def test_each_event_arrives_at_least_once_although_the_server_is_killed(tmp_path: Path) -> None:
    killed = Flag()

    def answers(number: int) -> Answer:
        if number == 5:  # the server dies while it waits for this answer, and others
            assert killed.wait(TIMEOUT)
        return (500, {}) if number % 7 == 3 else OK

    with (
        receiving(answers) as receiver,
        serving(
            tmp_path / "data",
            assessment="false",
            webhook_url=receiver.url,
            webhook_secret=SECRET,
            webhook_allow_private="true",
        ) as server,
    ):
        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(send, server.url, number) for number in range(FILES)]
            receiver.wait(lambda seen: len(seen) > 5)
            server.kill()
            killed.set()
            trouble = [each.exception() for each in sent]
        assert all(isinstance(each, httpx2.TransportError | None) for each in trouble)
        server.start()
        expected = complete_uploads(server)
        assert len(expected) >= sum(each is None for each in trouble)
        # Some were refused, or died with the server, and come again.
        seen = receiver.wait(
            lambda seen: uploads_in(seen) >= expected and len(seen) > len(expected)
        )
        assert uploads_in(seen) == expected
        assert len({each.id for each in seen}) == len(expected)
        bodies: dict[str, bytes] = {}
        assert all(bodies.setdefault(each.id, each.body) == each.body for each in seen)


@pytest.mark.slow
def test_the_report_of_the_worker_is_announced_and_the_operator_sees_it(tmp_path: Path) -> None:
    def answers(number: int) -> Answer:
        return (410, {}) if number == 0 else OK

    with (
        receiving(answers) as receiver,
        serving(
            tmp_path / "data",
            webhook_url=receiver.url,
            webhook_secret=SECRET,
            webhook_allow_private="true",
        ) as server,
    ):
        send(server.url, 1)
        [first] = receiver.wait(lambda seen: len(seen) == 1)
        assert first.event["type"] == "upload.completed"

        def listed(*options: str) -> list[dict[str, object]]:
            command = [sys.executable, "-m", "wherry", "webhooks", *options]
            command += ["--data", str(server.data)]
            ran = subprocess.run(command, capture_output=True, text=True, check=True)
            return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]

        for _ in range(1000):
            given_up = listed("list", "--json", "--state", "failed", "--state", "gone")
            if len(given_up) == 2:
                break
        assert {each["state"] for each in given_up} == {"failed", "gone"}
        listed("replay", "--failed")
        seen = receiver.wait(lambda seen: len(seen) == 3)
        assert seen[1].id == first.id or seen[2].id == first.id
        [finished] = [each.event for each in seen if each.event["type"] == "assessment.finished"]
        assert finished["data"]["assessment_id"] == first.event["data"]["assessment_id"]
        assert finished["data"]["verdict"]
        assert finished["data"]["filename"] == "1.txt"
