"""Proxies of the environment: used where they are meant, and told by name where they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from wherry.client import AsyncClient
from wherry.client.proxies import proxy_for
from wherry.testing.ports import free_port

ELSEWHERE = httpx2.URL("https://uploads.example.org/api")


@pytest.fixture(autouse=True)
def _no_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("address", ["http://proxy:3128", "socks5://proxy:1080", "proxy:3128"])
def test_a_proxy_of_the_environment_is_used_and_known_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)
    found = proxy_for(ELSEWHERE)
    assert found is not None
    assert found.source == name
    assert str(found.proxy.url).endswith(address.removeprefix("http://"))
    AsyncClient(str(ELSEWHERE))  # and can be used


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/api", "http://localhost:8000/api", "http://[::1]:8000/api"]
)
def test_this_machine_is_never_asked_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080/")
    assert proxy_for(httpx2.URL(url)) is None


@pytest.mark.parametrize(
    "exceptions", ["uploads.example.org", ".example.org", "*", "[::1],uploads.example.org"]
)
def test_what_no_proxy_names_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, exceptions: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert proxy_for(ELSEWHERE) is None


@pytest.mark.parametrize("address", ["socks://proxy:1080/", "ftp://proxy", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("all_proxy", address)
    with pytest.raises(ValueError, match="all_proxy names cannot be used"):
        AsyncClient(str(ELSEWHERE))


def test_the_password_of_a_proxy_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://me:secret@proxy:3128")
    assert "secret" not in str(proxy_for(ELSEWHERE))


def test_a_proxy_that_is_away_is_one_sentence_with_its_variable(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "film.mp4").write_bytes(b"film")
    command = [sys.executable, "-m", "wherry", "report", "a" * 16, str(ELSEWHERE)]
    environment = {**os.environ, "HTTPS_PROXY": f"http://127.0.0.1:{port}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "(HTTPS_PROXY)" in done.stderr
