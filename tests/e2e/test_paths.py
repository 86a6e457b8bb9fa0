"""Two servers behind a real nginx learn how narrow it is, and notice when it becomes wider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.cli.command import wherry
from tests.waiting import wait_until

from wherry.auth import Keys, keys_file
from wherry.testing.nginx import Nginx, nginx, require_nginx
from wherry.testing.server import Server, serving

MiB = 1 << 20
HOST = "uploads.example"
#: How long servers may take to tell each other, in seconds.
TIMEOUT = 120.0
#: The API key of each data folder.
KEYS: dict[Path, str] = {}


@pytest.fixture(scope="module", autouse=True)
def _nginx() -> None:
    require_nginx()


@pytest.fixture(params=["sqlite", "postgres"])
def options(request: pytest.FixtureRequest) -> dict[str, object]:
    if request.param == "sqlite":
        return {}
    return {"database": request.getfixturevalue("database")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a server that takes requests for any host, because it has a key."""
    folder = tmp_path / "data"
    KEYS[folder] = Keys(keys_file(folder)).add("alice", operator=True)
    return folder


def api(server: Server, url: str | None = None) -> httpx2.Client:
    """`url`: of the proxy in front; None: the server's own."""
    headers = {"Host": HOST, "Authorization": f"Bearer {KEYS[server.data]}"}
    headers |= {"X-Forwarded-Proto": "https"}  # as of a proxy in front of nginx
    return httpx2.Client(base_url=f"{url or server.url}/api", headers=headers, timeout=TIMEOUT)


def begin(client: httpx2.Client, size: int) -> dict[str, Any]:
    wanted = {"filename": "a.bin", "size": size}
    answer = client.post("/chunked-upload/init", json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def send(client: httpx2.Client, upload: dict[str, Any], size: int, **more: Any) -> httpx2.Response:
    params = {"upload_id": upload["upload_id"], "offset": 0, **more}
    return client.post("/chunked-upload/chunk", params=params, content=bytes(size))


def told(server: Server) -> Any:
    with api(server) as client:
        upload = begin(client, 1)
        client.delete(f"/chunked-upload/{upload['upload_id']}")  # whoever waits asks often
        return upload["path"]


def test_two_servers_learn_the_limit_of_their_ingress_and_that_it_was_widened(
    data: Path, options: dict[str, object]
) -> None:
    given = {"assessment": False, "max_open": 100, **options}
    with serving(data, **given) as one, serving(data, **given) as other:
        servers = [one, other]
        with nginx(one.port, more=[other.port]) as proxy, api(one, proxy.url) as client:
            learn(client, proxy)
        narrow = {"passes": 1 * MiB, "refuses": 5 * MiB}
        wait_until(lambda: [told(server) for server in servers] == [narrow, narrow])
        check_seen_by_operator(data, options)
        assert f'command="wherry doctor https://{HOST}/api"' in one.log.read_text()

        with nginx(one.port, "0", more=[other.port]) as proxy, api(one, proxy.url) as client:
            assert send(client, begin(client, 5 * MiB), 5 * MiB).status_code == 200
        wide = {"passes": 5 * MiB, "refuses": None}
        wait_until(lambda: [told(server) for server in servers] == [wide, wide])


def learn(client: httpx2.Client, proxy: Nginx) -> None:
    """As a client does: a chunk is refused, a smaller one passes and reports it."""
    upload = begin(client, 5 * MiB)
    assert upload["path"] is None
    refused = send(client, upload, 5 * MiB)
    assert refused.status_code == 413
    assert "wherry-error" not in refused.headers
    assert proxy.refused() == 1
    passed = send(client, upload, 1 * MiB, refused=5 * MiB, refused_by="nginx")
    assert passed.status_code == 200


def check_seen_by_operator(data: Path, options: dict[str, object]) -> None:
    environment = {"WHERRY_DATABASE": str(options.get("database", "none"))}
    listed = wherry("paths", "--json", "--data", data, environment=environment)
    (path,) = json.loads(listed.stdout)
    assert path.pop("passed_at") <= path.pop("refused_at")
    assert path == {
        "host": HOST,
        "passes": 1 * MiB,
        "refuses": 5 * MiB,
        "refused_by": "nginx",
        "owners": 1,
        "confirmed": False,
        "passed_since": False,
        "address": f"https://{HOST}/api",
    }


def test_what_was_learned_survives_kill_9(data: Path) -> None:
    with serving(data, assessment=False) as server:
        with nginx(server.port) as proxy, api(server, proxy.url) as client:
            learn(client, proxy)
        wait_until(lambda: HOST in wherry("paths", "--data", server.data).stdout)
        server.kill()
        server.start()
        wait_until(lambda: told(server) == {"passes": 1 * MiB, "refuses": 5 * MiB})


def test_the_metrics_have_each_host(data: Path) -> None:
    with serving(data, assessment=False) as server:
        with nginx(server.port) as proxy, api(server, proxy.url) as client:
            learn(client, proxy)
        sample = f'wherry_path_refuses_bytes{{host="{HOST}"}} 5.24288e+06'
        with api(server) as client:
            wait_until(lambda: sample in client.get(f"{server.url}/metrics").text)


def test_a_host_that_is_forgotten_is_learned_anew(data: Path) -> None:
    with (
        serving(data, assessment=False) as server,
        nginx(server.port) as proxy,
        api(server, proxy.url) as client,
    ):
        learn(client, proxy)
        paths = ["paths", "--data", server.data]
        wait_until(lambda: HOST in wherry(*paths).stdout)
        line = wherry(*paths).stdout
        assert "passes 1.0 MiB" in line
        assert "refuses 5.0 MiB by nginx (1 owner, not confirmed" in line
        assert f"wherry doctor https://{HOST}/api" in wherry(*paths).stderr
        assert "forgotten" in wherry(*paths, "--forget", HOST.upper()).stdout
        assert wherry(*paths).stdout == ""
        assert "nothing is known" in wherry(*paths, "--forget", HOST, code=1).stderr
        wait_until(lambda: told(server) is None)
        assert send(client, begin(client, 1 * MiB), 1 * MiB).status_code == 200
        wait_until(lambda: told(server) == {"passes": 1 * MiB, "refuses": None})
