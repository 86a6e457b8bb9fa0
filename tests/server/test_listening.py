"""What is wrong with an address is told before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx2
import pytest
from tests.cli.command import wherry

from wherry.listening import listening, resolve, url_of
from wherry.testing.server import serving


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = wherry("serve", "--port", port, "--data", tmp_path / "data", code=1)
    assert f"port {port} on 127.0.0.1 is taken" in refused.stderr
    assert "--port" in refused.stderr
    assert "worker" not in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", [99999, -1])
def test_a_port_that_is_none_is_not_another_one(tmp_path: Path, port: int) -> None:
    refused = wherry("serve", "--port", port, "--data", tmp_path / "data", code=2)
    assert "--port" in refused.stderr


def test_a_name_that_is_unknown_and_an_address_elsewhere_are_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wherry("keys", "add", "alice", "--data", data)
    refused = wherry("serve", "--host", "nowhere.invalid", "--data", data, code=1)
    assert "--host nowhere.invalid" in refused.stderr
    refused = wherry("serve", "--host", "192.0.2.7", "--data", data, code=1)
    assert "192.0.2.7 is not an address of this machine" in refused.stderr


def test_a_port_is_taken_from_the_moment_it_is_opened_on() -> None:
    with (
        listening(resolve("127.0.0.1", 0)) as [first],
        pytest.raises(OSError, match="is taken"),
        listening(resolve("127.0.0.1", first.getsockname()[1])),
    ):
        pass


def test_of_several_addresses_one_that_the_machine_lacks_is_left_out() -> None:
    [here] = resolve("127.0.0.1", 0)
    [elsewhere] = resolve("192.0.2.7", 0)
    with listening([elsewhere, here]) as listeners:
        assert [url_of(each).rpartition(":")[0] for each in listeners] == ["http://127.0.0.1"]
    with pytest.raises(OSError, match="not an address of this machine"), listening([elsewhere]):
        pass


def test_the_log_says_where_the_server_listens(tmp_path: Path) -> None:
    with serving(tmp_path / "data", assessment=False) as server:
        assert f"listening url={server.url}" in server.log.read_text()
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
