"""`wherry guests`, as an operator types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.command import wherry

from wherry.auth import Keys, keys_file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_a_ticket_is_shown_once_listed_and_revoked(data: Path) -> None:
    asked = ["--uploads", 3, "--max-size", "2GiB", "--expires-in", 3600, "--note", "for Bob"]
    made = wherry("guests", "new", "alice", *asked, "--data", data)
    [ticket] = made.stdout.splitlines()
    assert ticket.startswith("wherry_guest_")
    ticket_id = ticket.split("_")[2]
    assert ticket_id in made.stderr
    assert ticket not in made.stderr
    also = wherry("guests", "new", "bob", "--json", "--data", data)
    other = json.loads(also.stdout)
    lines = wherry("guests", "list", "--data", data).stdout.splitlines()
    assert lines[0].startswith(f"{ticket_id} valid    0 of 3")
    assert lines[0].endswith("alice  up to 2.0 GiB each  (for Bob)")
    revoked = wherry("guests", "revoke", "--owner", "alice", "--data", data)
    assert revoked.stdout == "revoked 1\n"
    found = [
        json.loads(line)
        for line in wherry("guests", "list", "--json", "--data", data).stdout.splitlines()
    ]
    assert [(each["owner"], each["state"]) for each in found] == [
        ("alice", "revoked"),
        ("bob", "valid"),
    ]
    # No server has run yet, so time has not begun to count.
    moving = ("ticket", "created_at", "expires_at")
    same = [{k: v for k, v in each.items() if k not in moving} for each in (found[1], other)]
    assert same[0] == same[1]
    assert ticket.split("_")[3] not in "".join(lines) + json.dumps(found)


def test_a_ticket_is_for_an_owner_who_exists(data: Path) -> None:
    Keys(keys_file(data)).add("alice")
    refused = wherry("guests", "new", "alise", "--data", data, code=1)
    assert "alise has no key" in refused.stderr
    wrong = wherry("guests", "new", "alice", "--max-size", "huge", "--data", data, code=1)
    assert "huge" in wrong.stderr
    unknown = wherry("guests", "revoke", "0" * 32, "--data", data, code=1)
    assert "0" * 32 in unknown.stderr
    wherry("guests", "revoke", "--data", data, code=2)
