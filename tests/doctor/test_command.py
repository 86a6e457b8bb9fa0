"""`wherry doctor`, as people and scripts call it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS
from typer.testing import CliRunner

from wherry.auth import Keys, keys_file
from wherry.cli import app
from wherry.doctor.diagnosis import diagnose
from wherry.doctor.measured import Measured
from wherry.doctor.report import as_object
from wherry.testing.ports import free_port
from wherry.testing.proxy import LimitingProxy
from wherry.testing.server import Server, serving

MiB = 1 << 20


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_it_prints_json_for_scripts_and_writes_the_letter(server: Server, here: Path) -> None:
    with LimitingProxy("127.0.0.1", server.port, MiB).run_in_thread() as proxy:
        url = f"{proxy.url}/api"
        done = CliRunner().invoke(app, ["doctor", url, "--json", "--write", "--seconds", "10"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["limit"]["passes"]) == ("narrow", MiB)
    assert found["spent"]["bytes"] < 32 * MiB
    letter = (here / "INGRESS_FIX_REQUIRED.md").read_text()
    assert letter.startswith("# Ingress fix required: request bodies above 1 MiB are refused\n")
    assert f"{url}/chunked-upload/probe" in letter
    assert "truncate -s 1048577" in letter


def test_a_letter_that_is_there_is_kept(here: Path) -> None:
    letter = here / "INGRESS_FIX_REQUIRED.md"
    letter.write_text("mine")
    done = CliRunner().invoke(app, ["doctor", "http://127.0.0.1:1/api", "--write"])
    assert done.exit_code == 1
    assert "exists already" in done.stderr
    assert letter.read_text() == "mine"


def test_an_address_that_cannot_be_reached_is_said_with_its_reason() -> None:
    port = free_port()
    done = CliRunner().invoke(app, ["doctor", f"http://127.0.0.1:{port}/api"])
    assert done.exit_code == 1
    assert "cannot be reached" in done.stdout
    assert "refused" in done.stdout


def test_an_address_that_is_not_the_apis_is_told_so(server: Server) -> None:
    done = CliRunner().invoke(app, ["doctor", server.url, "--seconds", "5"])
    assert done.exit_code == 0, done.stderr
    assert f"try {server.url}/api." in done.stdout


@pytest.mark.slow
def test_a_key_that_is_refused_is_told_so(tmp_path: Path) -> None:
    Keys(keys_file(tmp_path / "data")).add("alice")
    with serving(tmp_path / "data") as server:
        options = ["--key", "wherry_wrong", "--seconds", "5"]
        done = CliRunner().invoke(app, ["doctor", f"{server.url}/api", *options])
    assert done.exit_code == 0, done.stderr
    assert "The key was refused (401)" in done.stdout


@pytest.mark.parametrize(
    "url", ["ftp://example.org", "https://me:secret@example.org/api", "http://"]
)
def test_what_is_no_address_of_an_api_is_wrong_usage(url: str) -> None:
    done = CliRunner().invoke(app, ["doctor", url])
    assert done.exit_code == 2


def test_every_key_of_the_json_is_documented() -> None:
    nothing = Measured("https://example.org/api", "2026-11-28T09:00:00Z", "1")
    page = (DOCS / "howto" / "find-the-limit.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    shown = {name.partition(".")[0] for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    known = set(as_object(nothing, diagnose(nothing)))
    assert shown <= known
    assert known - shown == {"schema", "url", "at", "version", "wherry"}
