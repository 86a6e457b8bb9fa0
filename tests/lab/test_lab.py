"""The short form of `make lab`: real proxies that install quickly, and the Python client.

Times are not asserted: `make lab` measures them.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from bench.peers import NotInstalled
from tests.lab.clients.python import Python
from tests.lab.measuring import in_front, make_files
from tests.lab.proxies.registry import find_proxies
from tests.lab.relay import Relay
from tests.lab.upstream import Upstream, upstream
from tests.parts import need

from wherry.testing.proxy import Fault, LimitingProxy

CACHE = Path(__file__).parents[2] / ".cache" / "lab"
KiB, MiB = 1 << 10, 1 << 20
#: Seconds until a count must be there, on a busy machine.
TIMEOUT = 60.0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def target(tmp_path: Path) -> int:
    """A port that nobody listens on: the limiting proxy answers by itself, or with 502."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_refused_body_is_counted_as_far_as_it_crossed(target: int) -> None:
    fault = Fault(status=413, is_late=True)
    with (
        LimitingProxy("127.0.0.1", target, None, [fault]).run_in_thread() as proxy,
        Relay(proxy.port).run_in_thread() as relay,
        httpx2.Client(base_url=f"http://127.0.0.1:{relay.port}") as http,
    ):
        assert http.post("/chunk", content=bytes(3 * MiB)).status_code == 413
        counts = relay.counts()
        assert (counts.requests, counts.wasted) == (1, 1)
        assert counts.thrown_away == 3 * MiB
        assert not relay.exchanges[0].is_ours


def test_a_request_without_a_body_is_never_wasted(target: int) -> None:
    with (
        LimitingProxy("127.0.0.1", target).run_in_thread() as proxy,
        Relay(proxy.port).run_in_thread() as relay,
    ):
        assert httpx2.get(f"http://127.0.0.1:{relay.port}/").status_code == 502
        assert relay.counts().requests == 1
        assert relay.counts().wasted == 0


def test_a_reset_reaches_the_client_and_its_bytes_are_thrown_away(target: int) -> None:
    fault = Fault(reset_at=100 * KiB)
    with (
        LimitingProxy("127.0.0.1", target, None, [fault]).run_in_thread() as proxy,
        Relay(proxy.port).run_in_thread() as relay,
    ):
        with pytest.raises(httpx2.TransportError):
            httpx2.post(f"http://127.0.0.1:{relay.port}/", content=bytes(20 * MiB))
        wait_until(lambda: relay.counts().thrown_away > 100 * KiB)
        assert relay.counts().wasted == 1


def test_a_slow_line_takes_its_time(target: int) -> None:
    with (
        LimitingProxy("127.0.0.1", target, 100).run_in_thread() as proxy,
        Relay(proxy.port, rate=400 * KiB).run_in_thread() as relay,
    ):
        begun = time.monotonic()
        content = bytes(600 * KiB)
        assert httpx2.post(f"http://127.0.0.1:{relay.port}/", content=content).status_code == 413
        wait_until(lambda: relay.counts().thrown_away == len(content))
        assert time.monotonic() - begun > 1.3  # at least: what is in buffers has crossed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with upstream(tmp_path_factory.mktemp("server") / "upstream") as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("nginx", "default"),
        ("nginx", "128 KiB"),
        ("nginx", "no limit"),
        ("nginx", "reset in mid-body"),
        ("nginx", "403 page of a filter"),
        ("haproxy", "default"),
        ("haproxy", "403 above 128 KiB"),
        ("haproxy", "closed without an answer above 1 MiB"),
        ("apache", "default"),
        ("apache", "413 above 1 MiB"),
        ("caddy", "max_size 1 MiB"),
        ("envoy", "requestBuffer 1 MiB"),
        ("traefik", "buffering, 1 MiB"),
    ],
)
def test_at_most_one_trial_is_thrown_away_and_nothing_once_the_limit_is_known(
    key: str, name: str, server: Upstream, files: Path, tmp_path: Path
) -> None:
    proxy = find_proxies()[key]
    try:
        proxy.install(CACHE)
    except NotInstalled as reason:
        need(False, f"{proxy.title} ({reason})")
    setup = replace(proxy.find(name), size=6 * MiB)
    with in_front(server, proxy, setup, tmp_path, CACHE) as laboratory:
        sent = laboratory.send(Python(), make_files(files, 6 * MiB, 3), tmp_path)
    assert [each.problem for each in sent] == ["", "", ""]
    # 64 KiB where the refusal is noticed in time: `make lab` measures that. Caddy and Envoy refuse
    # only after they have read as much as they allow.
    assert sum(each.thrown_away for each in sent) <= 2 * MiB + 512 * KiB
    assert (sent[2].wasted, sent[2].thrown_away) == (0, 0)
