"""`wherry paths`: what an operator reads of each public host, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wherry.cli import app
from wherry.cli.engines import with_engine
from wherry.core.limits import MiB
from wherry.core.requests import Caller
from wherry.engine import Engine

HOST = "uploads.example"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    return folder


def paths(data: Path, *words: str) -> Result:
    done = CliRunner().invoke(app, ["paths", "--data", str(data), *words])
    assert done.exit_code == 0, done.stderr
    return done


def learn(data: Path, *, address: str, is_widened: bool) -> None:
    """Two owners report a refusal; then, a larger body of another one passes, or did before."""

    async def act(engine: Engine) -> None:
        def pass_one() -> None:
            engine.paths.passed(Caller("carol"), HOST, 21 * MiB)

        if not is_widened:
            pass_one()
        for owner in ("alice", "bob"):
            caller = Caller(owner)
            engine.paths.refused(caller, HOST, 2 * MiB, by="nginx", passed=MiB, address=address)
        if is_widened:
            pass_one()
        await engine.paths.keep()

    with_engine(data, act)


def test_reports_that_are_older_than_what_has_passed_are_named_as_such(data: Path) -> None:
    learn(data, address=f"http://{HOST}/files/api", is_widened=True)
    listed = paths(data)
    assert "passes 21.0 MiB" in listed.stdout
    assert "refuses 2.0 MiB by nginx (2 owners, not confirmed, " in listed.stdout
    assert listed.stdout.endswith("; larger bodies have passed since)\n")
    assert f"wherry paths --data '{data}' --forget {HOST}\n" in listed.stderr
    [path] = json.loads(paths(data, "--json").stdout)
    assert path["passed_since"] is True

    assert "forgotten" in paths(data, "--forget", HOST).stdout
    assert paths(data).output == ""


def test_reports_that_are_newer_than_what_has_passed_are_not(data: Path) -> None:
    learn(data, address="", is_widened=False)
    listed = paths(data)
    assert "passes 21.0 MiB" in listed.stdout
    assert "refuses 2.0 MiB by nginx (2 owners, not confirmed, " in listed.stdout
    assert "since" not in listed.output
    assert "--forget" not in listed.output


def test_the_command_has_the_scheme_and_the_prefix_that_requests_had(data: Path) -> None:
    learn(data, address=f"http://{HOST}:8080/files/api", is_widened=False)
    assert paths(data).stderr == (
        f"What refuses, and what to change: wherry doctor http://{HOST}:8080/files/api\n"
    )
    [path] = json.loads(paths(data, "--json").stdout)
    assert path["address"] == f"http://{HOST}:8080/files/api"


def test_an_address_that_is_not_certain_is_left_to_the_operator(data: Path) -> None:
    learn(data, address="", is_widened=False)
    told = paths(data).stderr
    assert "wherry doctor ADDRESS\n" in told
    assert f"such as https://{HOST}/api" in told
    assert "wherry doctor http" not in told
