"""`wherry top`, in front of a real server: on a terminal, and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.command import wherry
from tests.cli.conftest import MiB, Watched
from tests.cli.terminal import on_terminal
from tests.e2e.conftest import Api

from wherry import __version__
from wherry.cli.looking import Look, Speeds

HOUR = 3600


def test_without_a_terminal_it_prints_what_there_is_once(watched: Watched) -> None:
    shown = wherry("top", watched.url, environment=watched.as_boss).stdout
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert f"wherry {__version__}, {watched.url}" in shown
    assert "1 of 1 open, 1 receiving, 0 completing, 1 in the queue" in lines["uploads"]
    assert "1.0 MiB used" in lines["storage"]
    assert "alice" in lines["film.mp4"]
    assert "25 % of 4.0 MiB" in lines["film.mp4"]
    assert "1 in the queue" in lines["next.mp4"]
    assert "cancelled" in lines["given-up.mp4"]
    assert "\x1b" not in shown


def test_the_server_and_its_folder_tell_the_same(watched: Watched) -> None:
    by_url = wherry("top", watched.url, "--json", environment=watched.as_boss).stdout
    settings = {  # as the server's
        "WHERRY_MAX_OPEN": "1",
        "WHERRY_SLOT_IDLE": str(HOUR),
        "WHERRY_ASSESSMENT": "false",
    }
    words = ("top", "--data", watched.server.data, "--json")
    told, read = _facts(by_url), _facts(wherry(*words, environment=settings).stdout)
    assert told == read
    assert [each["filename"] for each in told["in_flight"]] == ["next.mp4", "film.mp4"]
    assert [each["filename"] for each in told["ended"]] == ["given-up.mp4"]
    assert told["speed"] == 0.0


def _facts(text: str) -> dict[str, Any]:
    """What two looks in a row have in common."""
    found: dict[str, Any] = json.loads(text)
    del found["at"], found["storage"]["free"]
    for each in (*found["in_flight"], *found["ended"]):
        for name in [name for name in each if name.endswith("_at")]:
            del each[name]
        each.pop("retry_after")
    found.pop("waiting_since")
    return found


def test_it_is_for_operators_and_says_so(watched: Watched) -> None:
    as_alice = {"WHERRY_API_KEY": watched.alice}
    refused = wherry("top", watched.url, environment=as_alice, code=3)
    assert refused.stdout == ""
    assert "wherry keys add NAME --operator" in refused.stderr
    nobody = wherry("top", watched.url, environment={"WHERRY_API_KEY": ""}, code=3)
    assert "--key" in nobody.stderr


def test_it_ends_as_every_command_where_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    servers = {"WHERRY_SERVERS": str(tmp_path / "servers.toml")}
    assert "films" in wherry("top", "films", environment=servers, code=2).stderr
    (tmp_path / "servers.toml").write_text('[films]\nurl = "http://127.0.0.1:9/api"\n')
    assert "no connection" in wherry("top", "films", environment=servers, code=4).stderr
    assert "is not a folder" in wherry("top", "--data", tmp_path / "none", code=1).stderr


def test_on_a_terminal_it_follows_until_q(watched: Watched) -> None:
    with on_terminal("top", watched.url, environment=watched.as_boss) as terminal:
        terminal.wait_for("film.mp4")
        with Api(watched.server.url, watched.alice) as api:
            late = api.init(MiB, filename="late.mp4")["upload_id"]
            terminal.wait_for("late.mp4")
            api.http.post("/chunked-upload/cancel", json={"upload_id": late})
        watched.server.stop()
        terminal.wait_for("what you see is old")
        watched.server.start()
        terminal.wait_for("0 completing, 1 in the queue")
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.is_as_before()


def test_ctrl_c_ends_it_as_it_ends_every_command(watched: Watched) -> None:
    with on_terminal("top", "--data", watched.server.data, environment={}) as terminal:
        terminal.wait_for("film.mp4")
        terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.is_as_before()


def test_the_speed_is_that_of_the_last_seconds_and_deleting_does_not_count() -> None:
    speeds = Speeds()
    for at, used, safe in ((0, 0, 0), (1, 100, 60), (2, 200, 120), (3, 50, 130), (4, 150, 140)):
        upload = {"upload_id": "a", "received_bytes": safe}
        speeds.add(Look(float(at), {"storage": {"used": used}}, [upload], []))
        if at == 0:
            assert speeds.of_all() is None
            assert speeds.of("a") is None
    assert speeds.of_all() == 100.0
    assert speeds.of("a") == 35.0
    speeds.add(Look(100.0, {"storage": {"used": 150}}, [], []))
    assert speeds.of_all() is None
    assert speeds.of("a") is None
