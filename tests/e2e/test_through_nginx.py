"""Through a real nginx with the limit it comes with, which nobody told the client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import make_file, sha256

from wherry.client import Client, wire
from wherry.client.exchange import exchange
from wherry.client.paths import forget_paths
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import serving

KiB = 1 << 10
MiB = 1 << 20
#: For a busy machine, in seconds.
TIMEOUT = 60.0


@pytest.fixture(scope="module", autouse=True)
def _nginx() -> None:
    require_nginx()


Patient = Callable[[int], None]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Makes clients wait for the early answer to larger bodies, however busy the machine is."""

    def above(limit: int) -> None:
        async def patiently(*asked: Any) -> Any:
            *others, body, sent, via, pause, rate = asked
            if pause and len(body or b"") > limit:
                pause = TIMEOUT
            return await send(*others, body, sent, via, pause, rate)

        send: Any = exchange
        monkeypatch.setattr(wire, "exchange", patiently)

    return above


@pytest.mark.parametrize("limit", [None, "200k", "64k"])
def test_an_unknown_path_costs_one_refusal_of_64_kib_and_a_known_one_nothing(
    tmp_path: Path, limit: str | None, patient: Patient
) -> None:
    patient(int(limit[:-1]) * KiB if limit else MiB)
    size = 5_000_000 if limit else 50_000_000
    files = [make_file(tmp_path / f"{n}.mp4", size, seed=n) for n in range(2)]
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, limit) as proxy,
    ):
        with Client(f"{proxy.url}/api", concurrency=1) as client:
            unknown, known = [client.upload(file) for file in files]
        stored = {sha256(path) for path in (server.data / "files").iterdir()}
        assert stored == {sha256(file) for file in files}
        assert proxy.refused() == unknown.refused == 1
        assert unknown.bytes_sent_twice <= 64 * KiB
        assert (known.refused, known.bytes_sent_twice) == (0, 0)
    assert proxy.received(413) <= 64 * KiB + 4 * KiB, "with the head of the request"


def test_all_clients_of_a_process_know_the_path_to_an_origin(
    tmp_path: Path, patient: Patient
) -> None:
    patient(MiB)
    file = make_file(tmp_path / "film.mp4", 20 * MiB)
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        assert Client(f"{proxy.url}/api", concurrency=1).upload(file).refused == 1
        other = Client(f"{proxy.url}/api/").upload(file)
        assert (other.refused, other.bytes_sent) == (0, 20 * MiB)


def test_what_one_client_reports_the_next_one_is_told(tmp_path: Path, patient: Patient) -> None:
    patient(MiB)
    one, other = [make_file(tmp_path / f"{n}.mp4", 20 * MiB, seed=n) for n in range(2)]
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        assert Client(f"{proxy.url}/api", concurrency=1).upload(one).refused == 1
        forget_paths()
        found = Client(f"{proxy.url}/api").upload(other)
        assert (found.refused, found.bytes_sent_twice) == (0, 0)
        assert found.chunk_size == MiB
        assert proxy.refused() == 1


def test_a_small_file_throws_nothing_away_and_goes_in_one_request_where_it_is_known_to_pass(
    tmp_path: Path,
) -> None:
    file = make_file(tmp_path / "photo.jpg", 3 * MiB)
    with serving(tmp_path / "data", assessment=False) as server:
        with nginx(server.port) as narrow:
            assert Client(f"{narrow.url}/api").upload(file).refused == 0
            assert narrow.refused() == 0
        with nginx(server.port, "64m") as wide:
            client = Client(f"{wide.url}/api", concurrency=1)
            client.upload(make_file(tmp_path / "film.mp4", 30 * MiB))
            assert client.upload(file).requests == 1


def test_a_large_file_gets_through_with_one_refusal(tmp_path: Path, patient: Patient) -> None:
    patient(MiB)
    file = make_file(tmp_path / "film.mp4", 30 * MiB)
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        with file.open("rb") as body:
            plain = httpx2.post(f"{proxy.url}/api/upload", files={"file": body})
        assert plain.status_code == 413
        assert "problem" not in plain.headers["content-type"]
        before = proxy.refused()
        result = Client(f"{proxy.url}/api", concurrency=1).upload(file)
        assert proxy.refused() - before == result.refused == 1
        [stored] = (server.data / "files").iterdir()
        assert sha256(stored) == sha256(file)


def test_a_small_file_goes_in_one_request(tmp_path: Path) -> None:
    file = make_file(tmp_path / "clip.mp4", 500_000)
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        result = Client(f"{proxy.url}/api").upload(file)
        assert (result.requests, result.refused) == (1, 0)
        assert [sha256(path) for path in (server.data / "files").iterdir()] == [sha256(file)]


def test_what_was_learned_of_the_ingress_serves_the_next_file(
    tmp_path: Path, patient: Patient
) -> None:
    patient(MiB)
    files = [make_file(tmp_path / f"{n}.mp4", 6 * MiB, seed=n) for n in range(3)]
    with serving(tmp_path / "data", assessment=False) as server, nginx(server.port) as proxy:
        client = Client(f"{proxy.url}/api", concurrency=1)
        refused = [client.upload(file).refused for file in files]
        assert refused == [0, 1, 0], "6 MiB are not worth a trial above 1 MiB, and 12 MiB are"


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
