"""What an operator types, against a real server and a real folder."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError
from tests.cli.command import wherry
from tests.e2e.conftest import Api

from wherry.cli.failing import sentence_of
from wherry.cli.serving import check_writable
from wherry.core.pages import LARGEST_PAGE
from wherry.settings import Settings
from wherry.testing.catalog.many import fill
from wherry.testing.server import Server, serving


def test_without_keys_the_server_stays_on_this_machine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused = wherry("serve", "--host", "0.0.0.0", "--port", 1, "--data", data, code=1)
    assert "wherry keys add" in refused.stderr
    with serving(data, assessment=False) as server:
        assert httpx2.get(f"{server.url}/healthz").json()["status"] == "ok"
        assert "anonymous access" in server.log.read_text()


def test_with_keys_nobody_else_gets_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    alice = wherry("keys", "add", "alice", "--data", data).stdout.strip()
    boss = wherry("keys", "add", "boss", "--operator", "--data", data).stdout.strip()
    assert alice not in (data / "keys.json").read_text()
    assert (data / "keys.json").stat().st_mode & 0o077 == 0
    with serving(data, assessment=False) as server:
        url = f"{server.url}/api/chunked-upload"
        nobody = httpx2.get(f"{url}/")
        assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthorized")
        assert httpx2.get(f"{url}/", headers=bearer("wrong")).status_code == 401
        assert httpx2.get(f"{url}/", headers=bearer(alice)).status_code == 200
        assert httpx2.get(f"{url}/storage", headers=bearer(alice)).status_code == 404
        assert httpx2.get(f"{url}/storage", headers=bearer(boss)).status_code == 200
        assert wherry("keys", "remove", "alice", "--data", data).stdout == "removed 1\n"
        assert httpx2.get(f"{url}/", headers=bearer(alice)).status_code == 401
    assert "boss (operator)" in wherry("keys", "list", "--data", data).stdout


def test_the_first_key_takes_effect_at_once_and_removing_the_last_opens_nothing(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data", assessment=False) as server:
        url = f"{server.url}/api/chunked-upload/"
        assert httpx2.get(url).status_code == 200
        key = wherry("keys", "add", "alice", "--data", server.data).stdout.strip()
        assert httpx2.get(url).status_code == 401
        assert httpx2.get(url, headers=bearer(key)).status_code == 200
        wherry("keys", "remove", "alice", "--data", server.data)
        assert httpx2.get(url).status_code == 401
        assert httpx2.get(url, headers=bearer(key)).status_code == 401
    refused = wherry("serve", "--port", 1, "--data", tmp_path / "data", code=1)
    assert "wherry keys add" in refused.stderr


def test_the_folder_may_be_named_in_the_environment(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wherry("keys", "add", "alice", environment={"WHERRY_DATA": str(data)})
    assert (data / "keys.json").exists()


def test_a_folder_that_is_no_good_is_said_so_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = wherry("serve", "--port", 1, "--data", tmp_path / "file", code=1)
    assert "file" in refused.stderr


@pytest.mark.parametrize("theirs", [".", "catalog.sqlite", "leader.lock"])
def test_what_another_user_made_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    (tmp_path / "catalog.sqlite").touch()
    (tmp_path / "leader.lock").touch()
    # The tests may run as root, who may write everything.
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path / theirs)
    with pytest.raises(PermissionError, match=r"may not be written .* --data"):
        check_writable(tmp_path)
    monkeypatch.undo()
    check_writable(tmp_path)


def test_nobody_else_on_the_machine_may_read_what_is_kept(tmp_path: Path) -> None:
    with serving(tmp_path / "data", assessment=False) as server, Api(server.url) as api:
        api.init(1000)
        for path in (server.data / "catalog.sqlite", server.data / "temp_chunks"):
            assert path.stat().st_mode & 0o077 == 0


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_anonymous_access_is_not_for_pages_of_others(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with serving(tmp_path / "data", assessment=False) as server:
        url = f"{server.url}/api/chunked-upload/init"
        answer = httpx2.post(url, json={"filename": "a", "size": 1}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")


def test_storage_uploads_and_sweep_work_beside_a_running_server(tmp_path: Path) -> None:
    with serving(tmp_path / "data", assessment=False) as server, Api(server.url) as api:
        upload_id = api.init(1_000_000)["upload_id"]
        api.chunk(upload_id, 0, bytes(100_000))
        [found] = json.loads(wherry("uploads", "--data", server.data, "--json").stdout)
        assert (found["upload_id"], found["state"]) == (upload_id, "receiving")
        assert str(upload_id) in wherry("uploads", "--data", server.data).stdout
        facts = json.loads(wherry("storage", "--data", server.data, "--json").stdout)
        assert (facts["reserved"], facts["open"]) == (1_000_000, 1)
        assert "976.6 KiB" in wherry("storage", "--data", server.data).stdout
        assert "freed 0 B" in wherry("sweep", "--data", server.data).stdout
        would = wherry("sweep", "--dry-run", "--expires-after", "0.01", "--data", server.data)
        assert str(upload_id) in would.stdout
        assert api.status(upload_id)["state"] == "receiving"
        wherry("sweep", "--expires-after", "0.01", "--data", server.data)
        assert api.status(upload_id)["state"] == "expired"


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    refused = wherry("storage", "--data", tmp_path / "nowhere", code=1)
    assert "is not a folder" in refused.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_setting_that_makes_no_sense_is_explained(tmp_path: Path) -> None:
    refused = wherry("serve", "--chunk-timeout", "-1", "--data", tmp_path, code=2)
    assert "chunk_timeout" in refused.stderr
    assert "pydantic" not in refused.stderr
    refused = wherry("serve", "--min-chunk", "10MiB", "--data", tmp_path, code=2)
    assert "min_chunk <= chunk_size" in refused.stderr
    refused = wherry("serve", "--max-open", "many", "--max-size", "3x", "--data", tmp_path, code=2)
    assert "max_open: 'many' is not a valid integer" in refused.stderr
    assert "unable to parse" not in refused.stderr
    assert "max_size: '3x' is not a size" in refused.stderr


@pytest.mark.parametrize("words", [("sweep",), ("storage",), ("serve", "--port", 1)])
def test_a_setting_of_the_environment_that_makes_no_sense_ends_every_command_alike(
    tmp_path: Path, words: tuple[object, ...]
) -> None:
    environment = {"WHERRY_TURN": "soon"}
    refused = wherry(*words, "--data", tmp_path, environment=environment, code=2)
    assert "turn: 'soon' is not a valid number" in refused.stderr


def test_a_setting_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(max_sizes=3)  # type: ignore[call-arg]
    assert sentence_of(refused.value) == "max_sizes: there is no such setting"


def test_sigterm_ends_the_server_in_time_whatever_is_open(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    try:
        with Api(server.url) as api:
            upload_id = api.init(1_000_000)["upload_id"]
            url = f"/chunked-upload/{upload_id}/events"
            with api.http.stream("GET", url) as stream:
                next(stream.iter_lines())
                server.stop()
    finally:
        server.kill()
    # It was not killed, as it is after `STOP_TIMEOUT`.
    assert "Finished server process" in server.log.read_text()


def test_all_uploads_are_listed_and_a_limit_bounds_them(tmp_path: Path) -> None:
    fill(tmp_path / "catalog.sqlite", LARGEST_PAGE + 5)

    def numbers(*words: object) -> list[int]:
        told = wherry("uploads", "--data", tmp_path, *words).stdout
        if "--json" in words:
            return [int(found["upload_id"], 16) for found in json.loads(told)]
        return [int(line.partition(" ")[0], 16) for line in told.splitlines()]

    assert numbers() == numbers("--json") == list(range(LARGEST_PAGE + 5))
    assert numbers("--limit", 3) == [0, 1, 2]
    assert numbers("--limit", LARGEST_PAGE + 1, "--json") == list(range(LARGEST_PAGE + 1))
    assert numbers("--newest", "--limit", 2) == [LARGEST_PAGE + 4, LARGEST_PAGE + 3]


def test_a_list_of_no_uploads_is_empty_json(tmp_path: Path) -> None:
    assert wherry("uploads", "--data", tmp_path, "--json").stdout == "[]\n"


def test_a_key_is_rotated_without_a_moment_in_which_nobody_gets_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wherry("keys", "add", "alice", "--data", data)
    [line] = wherry("keys", "list", "--data", data).stdout.splitlines()
    old = line.split()[-1]
    wherry("keys", "add", "alice", "--data", data)
    removed = wherry("keys", "remove", "alice", "--hash", old, "--data", data)
    assert removed.stdout == "removed 1\n"
    [left] = wherry("keys", "list", "--data", data).stdout.splitlines()
    assert left.startswith("alice ")
    assert not left.endswith(old)


def test_a_list_without_keys_says_so_and_who_gets_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    none = wherry("keys", "list", "--data", data)
    assert none.stdout == ""
    assert "no keys" in none.stderr
    assert "from this machine only" in none.stderr
    wherry("keys", "add", "alice", "--data", data)
    assert wherry("keys", "list", "--data", data).stderr == ""
    wherry("keys", "remove", "alice", "--data", data)
    assert "every request is refused" in wherry("keys", "list", "--data", data).stderr


def test_removing_a_key_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wherry("keys", "add", "alice", "--data", data)
    nobody = wherry("keys", "remove", "bob", "--data", data, code=1)
    assert "bob has no key" in nobody.stderr
    wherry("keys", "remove", "alice", "--hash", "zz", "--data", data, code=1)
    assert "alice" in wherry("keys", "list", "--data", data).stdout


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "\x1b[2J"])
def test_a_key_has_a_name_that_people_can_read(tmp_path: Path, name: str) -> None:
    assert "the name must be text" in wherry("keys", "add", name, "--data", tmp_path, code=1).stderr
    assert not (tmp_path / "keys.json").exists()


def test_a_misspelt_variable_is_told(tmp_path: Path) -> None:
    environment = {
        "WHERRY_MAX_SIZ": "5MiB",
        "WHERRY_PORT_8000_TCP_ADDR": "10.0.0.7",  # as Kubernetes sets it for a service `wherry`
        "WHERRY_SERVICE_HOST": "10.0.0.7",
        "WHERRY_API_KEY": "k",
    }
    said = wherry("storage", "--data", tmp_path, environment=environment).stderr
    assert said == (
        "WHERRY_MAX_SIZ is not a setting and has no effect. Did you mean WHERRY_MAX_SIZE?\n"
    )
