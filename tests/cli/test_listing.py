"""`wherry uploads` and `wherry watch`, in front of a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.command import started, wherry
from tests.cli.conftest import MiB, Watched
from tests.e2e.conftest import Api
from tests.waiting import wait_until


def names(watched: Watched, *words: object, as_alice: bool = False) -> list[str]:
    environment = {"WHERRY_API_KEY": watched.alice} if as_alice else watched.as_boss
    told = wherry("uploads", *words, "--json", environment=environment).stdout
    found: list[dict[str, Any]] = json.loads(told)
    return [each["filename"] for each in found]


def test_everybody_sees_their_own_uploads_and_operators_see_all(watched: Watched) -> None:
    everything = ["film.mp4", "next.mp4", "given-up.mp4"]
    assert names(watched, watched.url, as_alice=True) == everything
    assert names(watched, watched.url) == []
    assert names(watched, watched.url, "--all") == everything
    assert names(watched, "--data", watched.server.data) == everything
    refused = wherry(
        "uploads", watched.url, "--all", environment={"WHERRY_API_KEY": watched.alice}, code=3
    )
    assert refused.stdout == ""
    assert "wherry keys add NAME --operator" in refused.stderr


@pytest.mark.parametrize("where", ["server", "folder"])
def test_a_list_is_bounded_by_states_number_and_order(watched: Watched, where: str) -> None:
    place = (watched.url, "--all") if where == "server" else ("--data", watched.server.data)
    assert names(watched, *place, "--state", "waiting, receiving") == ["film.mp4", "next.mp4"]
    assert names(watched, *place, "--newest", "--limit", 2) == ["given-up.mp4", "next.mp4"]
    assert names(watched, *place, "--state", "complete") == []
    wrong = wherry("uploads", *place, "--state", "done", code=2)
    assert "there are waiting, receiving" in wrong.stderr


def test_a_line_says_what_is_safe_and_whose_it_is(watched: Watched) -> None:
    told = wherry("uploads", watched.url, "--all", environment=watched.as_boss).stdout
    line = told.splitlines()[0]
    assert "receiving" in line
    assert "1.0 MiB of 4.0 MiB" in line
    assert line.endswith("alice  film.mp4")


def test_an_upload_is_watched_until_it_is_complete(watched: Watched) -> None:
    environment = {"WHERRY_API_KEY": watched.alice}
    with Api(watched.server.url, watched.alice) as api:
        upload_id = api.init(MiB, filename="watched.mp4")["upload_id"]
        with started("watch", upload_id, watched.url, environment=environment) as watching:
            wait_until(lambda: "in the queue" in watching.errors())
            for film in api.http.get("/chunked-upload/?state=receiving,waiting").json()["uploads"]:
                if film["upload_id"] != upload_id:
                    api.http.post("/chunked-upload/cancel", json={"upload_id": film["upload_id"]})
            wait_until(lambda: api.chunk(upload_id, 0, bytes(MiB)).is_success)
            assert api.complete(upload_id).is_success
            assert watching.wait() == 0
            assert watching.output().startswith("watched.mp4: complete, 1.0 MiB of 1.0 MiB safe")
        facts = json.loads(
            wherry("watch", upload_id, watched.url, "--json", environment=environment).stdout
        )
    assert (facts["upload"]["state"], facts["assessment"]) == ("complete", None)


def test_watching_what_was_cancelled_fails_and_says_so(watched: Watched) -> None:
    environment = {"WHERRY_API_KEY": watched.alice}
    told = wherry("uploads", watched.url, "--json", environment=environment).stdout
    [given_up] = [each for each in json.loads(told) if each["filename"] == "given-up.mp4"]
    ended = wherry("watch", given_up["upload_id"], watched.url, environment=environment, code=1)
    assert ended.stdout.startswith("given-up.mp4: cancelled")
    missing = wherry("watch", "0" * 32, watched.url, environment=environment, code=1)
    assert "no such upload" in missing.stderr
