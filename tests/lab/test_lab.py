"""The short form of `make lab`: real proxies that install quickly, and the Python client.

Times are not asserted: `make lab` measures them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from bench.peers import NotInstalled
from tests.lab.clients.curl import Curl
from tests.lab.clients.python import Python
from tests.lab.doctor import compare
from tests.lab.measuring import Cell, Sent, in_front, make_files
from tests.lab.proxies import Setup
from tests.lab.proxies.registry import find_proxies
from tests.lab.relay import Relay
from tests.lab.results import Results
from tests.lab.table import render
from tests.lab.upstream import Upstream, upstream
from tests.parts import need
from tests.waiting import wait_until

from wherry.testing.ports import free_port
from wherry.testing.proxy import Fault, LimitingProxy

CACHE = Path(__file__).parents[2] / ".cache" / "lab"
KiB, MiB = 1 << 10, 1 << 20


@pytest.fixture
def target(tmp_path: Path) -> int:
    """A port that nobody listens on: the limiting proxy answers by itself, or with 502."""
    return free_port()


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


#: What may be thrown away in all. A client notices a refusal of the head after 64 KiB, and no limit
#: costs more than two refusals; a 403 costs a third one, as a form.
EARLY, AS_FORM = 128 * KiB, 192 * KiB
#: Caddy and Envoy refuse only after they have read as much as they allow.
LATE = 2 * MiB + 512 * KiB


@pytest.mark.parametrize(
    ("key", "name", "most"),
    [
        ("nginx", "default", EARLY),
        ("nginx", "128 KiB", EARLY),
        ("nginx", "no limit", EARLY),
        ("nginx", "reset in mid-body", EARLY),
        ("nginx", "403 page of a filter", EARLY),
        ("haproxy", "default", EARLY),
        ("haproxy", "403 above 128 KiB", AS_FORM),
        ("haproxy", "closed without an answer above 1 MiB", EARLY),
        ("apache", "default", EARLY),
        ("apache", "413 above 1 MiB", LATE),
        ("caddy", "max_size 1 MiB", LATE),
        ("envoy", "requestBuffer 1 MiB", LATE),
        ("traefik", "buffering, 1 MiB", EARLY),
    ],
)
def test_at_most_one_trial_is_thrown_away_and_nothing_once_the_limit_is_known(
    key: str, name: str, server: Upstream, files: Path, tmp_path: Path, *, most: int
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
    assert sum(each.thrown_away for each in sent) <= most
    assert (sent[2].wasted, sent[2].thrown_away) == (0, 0)


def test_the_commands_for_curl_get_through_a_limit_below_their_first_chunk(
    server: Upstream, files: Path, tmp_path: Path
) -> None:
    proxy, client = find_proxies()["documented"], Curl()
    setup = replace(proxy.find("filter with a 406 page"), size=1 * MiB)
    with client.start(), in_front(server, proxy, setup, tmp_path, CACHE) as laboratory:
        sent = laboratory.send(client, make_files(files, 1 * MiB), tmp_path)
    assert [each.problem for each in sent] == ["", ""]
    # A refusal may come before curl has sent a byte of the body, and then nothing is wasted.
    assert sent[0].requests > sent[1].requests
    assert sent[1].wasted == 0  # the server knows what passes


# The table, and when the doctor is right.


def test_a_configuration_without_a_result_is_shown_as_not_measured() -> None:
    proxy, clients = find_proxies()["nginx"], [Python(), Curl()]
    sent = Sent(1.0, "", 10, 0, 0)
    results = Results(versions={"nginx": "1.22.1"})
    results.put(Cell("nginx", "default", "python", sent, sent))
    rows = [line for line in render(results, [proxy], clients).splitlines() if "|" in line][2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {each.name}" for each in proxy.setups]
    assert rows[0] == "| default | 1 MiB | 0 | not measured | not measured |"
    assert "| 413 without CORS | 1 MiB | – | – | not measured |" in rows
    assert "| 128 KiB | 128 KiB | not measured | not measured | not measured |" in rows
    assert render(Results(), [proxy], clients) == ""


RIGHT = {
    "verdict": "narrow",
    "limit": {"passes": MiB, "refuses": MiB + 1, "refusal": {"status": 413}},
    "front": {"proxy": "nginx"},
    "timers": {"idle": None, "whole": None},
    "remedies": [{"proxy": "ingress-nginx"}, {"proxy": "nginx"}],
    "cors": {"on_answer": True, "on_refusal": False},
}
NARROW = Setup("narrow", limit=MiB, is_cross_origin=True)
SLOW = Setup("slow", timer="idle")
TROUBLE = RIGHT | {
    "verdict": "trouble",
    "limit": {"passes": 8 * MiB, "refuses": None, "refusal": None},
    "timers": {"idle": 5.2, "whole": None},
    "cors": {"on_answer": None, "on_refusal": None},
}
UNMARKED = RIGHT | {"front": {"proxy": None}, "remedies": [{"proxy": "unknown"}]}


@pytest.mark.parametrize(
    ("setup", "who", "said"),
    [
        (NARROW, "nginx", RIGHT),
        (SLOW, "nginx", TROUBLE),
        (replace(NARROW, is_marked=False), "nginx", UNMARKED),
        (NARROW, "", UNMARKED),
    ],
)
def test_a_doctor_that_says_what_is_configured_is_right(
    setup: Setup, who: str, said: dict[str, Any]
) -> None:
    assert compare(setup, who, said) == []


@pytest.mark.parametrize(
    ("setup", "said", "wrong"),
    [
        (NARROW, UNMARKED, "it does not recognise it"),
        (NARROW, RIGHT | {"front": {"proxy": "caddy"}}, "it takes it for caddy"),
        (NARROW, RIGHT | {"remedies": [{"proxy": "caddy"}]}, "what it tells to change"),
        (NARROW, RIGHT | {"remedies": []}, "what it tells to change"),
        (NARROW, RIGHT | {"verdict": "wide"}, "verdict wide"),
        (NARROW, RIGHT | {"cors": {"on_answer": True, "on_refusal": None}}, "the refusal has no"),
        (NARROW, RIGHT | {"cors": {"on_answer": None, "on_refusal": False}}, "server's answers"),
        (SLOW, TROUBLE | {"verdict": "wide"}, "verdict wide"),
        (SLOW, TROUBLE | {"timers": {"idle": None}}, "it finds no idle timer"),
        (SLOW, TROUBLE | {"timers": {"idle": 20.0}}, "it finds a timer of 20.0 s"),
    ],
)
def test_a_doctor_that_leaves_out_or_mistakes_something_is_wrong(
    setup: Setup, said: dict[str, Any], wrong: str
) -> None:
    assert wrong in "; ".join(compare(setup, "nginx", said))
