"""What `wherry upload` takes: folders, patterns, standard input, names of servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import File
from tests.client.fake import FakeServer, problem, serving
from typer.testing import CliRunner, Result

from wherry.cli import app
from wherry.cli.servers import find_server
from wherry.core.limits import KiB


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def url(server: FakeServer) -> Iterator[str]:
    with serving(server) as port:
        yield f"http://127.0.0.1:{port}/api"


@pytest.fixture
def listed(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list with the server as `films`."""
    path = tmp_path / "servers.toml"
    path.write_text(f'[films]\nurl = "{url}"\nkey = "of the list"\n')
    monkeypatch.setenv("WHERRY_SERVERS", str(path))
    return path


def run(*arguments: object, **more: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **more)


def names(server: FakeServer) -> list[str]:
    return sorted(upload.filename for upload in server.uploads.values())


def folder(tmp_path: Path) -> Path:
    films = tmp_path / "films"
    (films / "day 1").mkdir(parents=True)
    (films / "b.mp4").write_bytes(b"b")
    (films / "day 1" / "a.mp4").write_bytes(b"a")
    return films


def test_a_folder_is_sent_with_all_in_it_if_that_is_wanted(
    server: FakeServer, url: str, tmp_path: Path
) -> None:
    films = folder(tmp_path)
    refused = run("upload", films, url)
    assert (refused.exit_code, server.uploads) == (2, {})
    assert "--recursive" in refused.stderr
    result = run("upload", "-r", films, url, "--no-smart", "--json")
    assert result.exit_code == 0, result.stderr
    paths = [asked.json["metadata"]["relative_path"] for asked in server.verbs("init")]
    assert sorted(paths) == ["films/b.mp4", "films/day 1/a.mp4"]


def test_an_empty_folder_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("upload", "-r", tmp_path / "empty", url)
    assert result.exit_code == 2
    assert "holds no file" in result.stderr


def test_a_pattern_that_no_shell_has_expanded_is(
    server: FakeServer, url: str, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4", "c.txt"):
        (tmp_path / name).write_bytes(name.encode())
    assert run("upload", tmp_path / "*.mp4", url, "--no-smart").exit_code == 0
    assert names(server) == ["a.mp4", "b.mp4"]


def test_standard_input_is_a_file_with_the_name_given(server: FakeServer, url: str) -> None:
    data = b"x" * (300 * KiB)
    nameless = run("upload", "-", url, input=data)
    assert nameless.exit_code == 2
    assert "--name" in nameless.stderr
    result = run("upload", "-", url, "--name", "dump.bin", "--no-smart", "--json", input=data)
    assert result.exit_code == 0, result.stderr
    [upload] = server.uploads.values()
    assert (names(server), bytes(upload.data)) == (["dump.bin"], data)


def test_quiet_prints_only_what_failed(server: FakeServer, url: str, file: File) -> None:
    good = run("upload", file(10), url, "--quiet")
    assert (good.exit_code, good.output) == (0, "")
    bad = run("upload", "/nowhere/at-all", url, "-q")
    assert bad.exit_code == 1
    assert "/nowhere/at-all" in bad.stderr


def test_a_limited_rate_is_kept(server: FakeServer, url: str, file: File) -> None:
    began = time.monotonic()
    assert run("upload", file(256 * KiB), url, "--limit-rate", "256KiB").exit_code == 0
    assert time.monotonic() - began > 0.7  # all pieces but the last have to wait for the next
    assert run("upload", file(10), url, "--limit-rate", "1KiB").exit_code == 1


def test_the_exit_code_says_why_all_have_failed(
    server: FakeServer, url: str, file: File, tmp_path: Path
) -> None:
    server.trouble = lambda asked: problem(401, "unauthorized")
    assert run("upload", file(10), url).exit_code == 3
    assert run("upload", file(10), tmp_path / "missing", url).exit_code == 1
    assert run("status", "u", url).exit_code == 3
    assert run("status", "u", "http://127.0.0.1:9/api").exit_code == 4


def test_a_server_of_the_list_gets_its_own_key(
    server: FakeServer, file: File, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERRY_API_KEY", "of another")
    assert run("upload", file(10), "films").exit_code == 0
    assert server.asked[-1].headers["authorization"] == "Bearer of the list"
    assert run("upload", file(10), "films", "--key", "mine").exit_code == 0
    assert server.asked[-1].headers["authorization"] == "Bearer mine"


def test_a_name_that_is_not_listed_says_what_is(file: File, listed: Path) -> None:
    result = run("upload", file(10), "photos")
    assert result.exit_code == 2
    assert "It lists: films" in result.stderr
    assert str(listed) in result.stderr.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[films", "not a list of servers"),
        ('films = "https://a"', "needs url"),
        ("[films]\nurl = 1", "needs url"),
        ('[films]\nurl = "https://a"\nport = "1"', "has port"),
        ('[films]\nurl = "https://a"\nkey = 1', "has key"),
    ],
)
def test_a_list_that_cannot_be_understood_is_one_sentence(
    listed: Path, text: str, told: str
) -> None:
    listed.write_text(text)
    with pytest.raises(ValueError, match=told):
        find_server("films")


def test_a_certificate_is_trusted_only_if_that_is_wanted(
    server: FakeServer, file: File, certificate: Path, tmp_path: Path
) -> None:
    with serving(server, certificate=certificate) as port:
        url = f"https://localhost:{port}/api"
        refused = run("upload", file(10), url)
        assert (refused.exit_code, server.uploads) == (4, {})
        assert "certificate is not trusted" in refused.stderr
        assert run("upload", file(10), url, "--ca", certificate).exit_code == 0
        assert run("status", "upload-0", url, "--ca", certificate).exit_code == 0
        unchecked = run("upload", file(20), url, "--insecure")
        assert unchecked.exit_code == 0
        assert "certificate is not checked" in unchecked.stderr
    (tmp_path / "ca.pem").write_text("nothing")
    wrong = run("upload", file(10), "https://localhost/api", "--ca", tmp_path / "ca.pem")
    assert wrong.exit_code == 2
    assert "PEM" in wrong.stderr


def test_the_state_of_an_upload_is_printed_and_it_can_be_cancelled(
    server: FakeServer, url: str, file: File
) -> None:
    [line] = run("upload", file(10), url, "--no-smart", "--json").stdout.splitlines()
    upload_id = json.loads(line)["upload_id"]
    assert "complete, 10 B of 10 B safe" in run("status", upload_id, url).stdout
    facts = json.loads(run("status", upload_id, url, "--json").stdout)
    assert facts["upload_id"] == upload_id
    assert run("cancel", upload_id, url).exit_code == 0


def test_short_options_for_help_and_version() -> None:
    assert "Usage" in run("-h").stdout
    assert "Usage" in run("upload", "-h").stdout
    assert run("-V").stdout.startswith("wherry ")
