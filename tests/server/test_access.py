"""Who has access while the file of keys comes and goes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tests.server.conftest import answer, server, serving

from wherry.auth import Keys, is_loopback, keys_file
from wherry.server import NoKeys, create_app
from wherry.settings import Settings

pytestmark = pytest.mark.anyio

LIST = "/api/chunked-upload/"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("away", ["removed", "renamed", "not JSON", "not keys", "a folder"])
async def test_keys_that_are_away_let_nobody_in_until_they_are_back(
    tmp_path: Path, host: str, away: str, caplog: pytest.LogCaptureFixture
) -> None:
    file, elsewhere = keys_file(tmp_path), tmp_path / "elsewhere"
    key = Keys(file).add("alice", operator=True)
    async with server(tmp_path, host) as client:
        assert (await client.get(LIST, headers=bearer(key))).status_code == 200
        held = file.read_bytes()
        file.rename(elsewhere)
        match away:
            case "removed":
                elsewhere.unlink()
            case "not JSON":
                file.write_text(held.decode()[:-9])
            case "not keys":
                file.write_text(json.dumps({"alice": 1}))
            case "a folder":
                file.mkdir()
        for headers in ({}, bearer(key), bearer("wrong"), {"Host": "127.0.0.1"}):
            answer = await client.get(LIST, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "keys-unreadable")
            assert answer.headers["retry-after"] == "5"
        assert (await client.get("/metrics")).status_code == 503
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "not-ready")
        assert "API keys cannot be read" in ready.json()["detail"]
        told = [r for r in caplog.records if r.getMessage().startswith("keys-unreadable ")]
        assert [r.levelno for r in told] == [logging.ERROR]
        assert "keys.json" in told[0].getMessage()

        if file.is_dir():
            file.rmdir()
        file.write_bytes(held)
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get(LIST, headers=bearer(key))).status_code == 200
        assert (await client.get(LIST)).status_code == 401


async def test_a_data_folder_that_is_away_lets_nobody_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    key = Keys(keys_file(data)).add("alice")
    async with server(data) as client:
        data.rename(tmp_path / "away")
        for headers in ({}, bearer(key)):
            assert (await client.get(LIST, headers=headers)).status_code == 503
        (tmp_path / "away").rename(data)
        assert (await client.get(LIST, headers=bearer(key))).status_code == 200


async def test_the_first_key_ends_anonymous_access_even_if_it_is_lost_again(
    tmp_path: Path,
) -> None:
    async with server(tmp_path) as client:
        assert (await client.get(LIST)).status_code == 200
        Keys(keys_file(tmp_path)).add("alice")
        assert (await client.get(LIST)).status_code == 401
        keys_file(tmp_path).unlink()
        assert (await client.get(LIST)).status_code == 503


async def test_a_first_key_that_monitoring_sees_first_ends_it_too(tmp_path: Path) -> None:
    async with server(tmp_path) as client:
        Keys(keys_file(tmp_path)).add("alice")
        assert (await client.get("/readyz")).status_code == 200
        keys_file(tmp_path).unlink()
        assert (await client.get(LIST)).status_code == 503


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
async def test_a_peer_from_elsewhere_is_not_let_in_whatever_it_says(
    tmp_path: Path, peer: str
) -> None:
    async with server(tmp_path, peer=peer) as client:
        headers = {"Host": "localhost", "X-Forwarded-For": "127.0.0.1"}
        assert (await client.get(LIST, headers=headers)).status_code == 401
        assert (await client.get("/metrics", headers=headers)).status_code == 401


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_a_peer_on_this_machine_is_let_in(tmp_path: Path, peer: str) -> None:
    async with server(tmp_path, peer=peer) as client:
        assert (await client.get(LIST)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "localhost.example"])
def test_an_address_that_others_reach_needs_keys(tmp_path: Path, host: str) -> None:
    with pytest.raises(NoKeys, match="wherry keys add"):
        create_app(Settings(data=tmp_path), host)


@pytest.mark.parametrize("held", ["", "[", '{"a": 1}', '[{"owner": "alice"}]'])
def test_a_server_does_not_start_with_keys_that_cannot_be_read(tmp_path: Path, held: str) -> None:
    keys_file(tmp_path).write_text(held)
    with pytest.raises(NoKeys, match="cannot be read"):
        create_app(Settings(data=tmp_path), "127.0.0.1")


def test_adding_a_key_never_writes_over_keys_that_cannot_be_read(tmp_path: Path) -> None:
    keys_file(tmp_path).write_text("[")
    with pytest.raises(Exception, match=r"keys\.json"):
        Keys(keys_file(tmp_path)).add("alice")
    assert keys_file(tmp_path).read_text() == "["


def test_names_and_addresses_of_this_machine_are_told_from_others() -> None:
    assert all(map(is_loopback, ["localhost", "a.localhost", "127.3.2.1", "::1"]))
    assert not any(map(is_loopback, ["", "localhost.example", "0.0.0.0", "::", "10.0.0.1"]))


def test_whose_address_a_peer_has_no_header_says(tmp_path: Path) -> None:
    """uvicorn would take it from `X-Forwarded-For`, and then a header would decide."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(scope["client"][0])
            await PlainTextResponse("hello")(scope, receive, send)

    with serving(app) as connect:
        connection = connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        answer(connection)
    assert seen == ["127.0.0.1"]
