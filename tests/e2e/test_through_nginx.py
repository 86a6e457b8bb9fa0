"""Through a real nginx with the limit it comes with, which nobody told the client."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import make_file, sha256

from wherry.client import Client
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import serving

MiB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def _nginx() -> None:
    require_nginx()


def test_a_large_file_gets_through_with_at_most_four_refusals(tmp_path: Path) -> None:
    file = make_file(tmp_path / "film.mp4", 30 * MiB)
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        with file.open("rb") as body:
            plain = httpx2.post(f"{proxy.url}/api/upload", files={"file": body})
        assert plain.status_code == 413
        assert "problem" not in plain.headers["content-type"]
        before = proxy.refused()
        result = Client(f"{proxy.url}/api").upload(file)
        assert proxy.refused() - before == result.refused <= 4
        [stored] = (server.data / "files").iterdir()
        assert sha256(stored) == sha256(file)


def test_a_small_file_goes_in_one_request(tmp_path: Path) -> None:
    file = make_file(tmp_path / "clip.mp4", 500_000)
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        result = Client(f"{proxy.url}/api").upload(file)
        assert (result.requests, result.refused) == (1, 0)
        assert [sha256(path) for path in (server.data / "files").iterdir()] == [sha256(file)]


def test_what_was_learned_of_the_ingress_serves_the_next_file(tmp_path: Path) -> None:
    files = [make_file(tmp_path / f"{n}.mp4", 6 * MiB, seed=n) for n in range(3)]
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        client = Client(f"{proxy.url}/api")
        refused = [client.upload(file).refused for file in files]
        assert 0 < refused[0] <= 4
        assert refused[1:] == [0, 0]


def test_an_ingress_of_six_megabytes_refuses_nothing(tmp_path: Path) -> None:
    file = make_file(tmp_path / "film.mp4", 30 * MiB)
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port, "6m") as proxy:
        assert Client(f"{proxy.url}/api").upload(file).refused == 0
        assert proxy.refused() == 0


def test_our_own_refusals_reach_the_client_through_the_ingress(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", assessment=False, max_size="2MiB") as server,
        nginx(server.port, "0") as proxy,
    ):
        answer = httpx2.post(f"{proxy.url}/api/upload", files={"file": ("a.mp4", bytes(3 * MiB))})
        assert answer.status_code == 413
        assert answer.json()["code"] == "too-large"
