"""`wherry assessments`, as an operator types it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.cli.command import wherry

from wherry.app.backends import open_catalog
from wherry.core.assessment import Assessment
from wherry.settings import Settings
from wherry.testing.catalog.fixtures import create_whole_upload


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with three assessments, the second of which runs."""
    (tmp_path / "data").mkdir()

    async def fill() -> None:
        catalog = open_catalog(Settings(data=tmp_path / "data"))
        for number, priority in enumerate((0, 5, -1)):
            await create_whole_upload(catalog, f"u{number}")
            queued = Assessment(f"a{number}", f"u{number}", "ada", 1.0 + number, priority=priority)
            await catalog.update(f"u{number}", lambda u: u, queued)
        await catalog.lease_assessment(9.0, lambda a: a.lease("w", 9.0, 19.0))
        await catalog.close()

    asyncio.run(fill())
    return tmp_path / "data"


def listed(data: Path, *options: str) -> list[tuple[str, str, int]]:
    lines = wherry("assessments", "list", "--json", *options, "--data", data).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return [(each["assessment_id"], each["state"], each["priority"]) for each in found]


def test_assessments_are_listed_with_their_priorities(data: Path) -> None:
    assert listed(data) == [("a0", "queued", 0), ("a1", "running", 5), ("a2", "queued", -1)]
    assert listed(data, "--state", "queued") == [("a0", "queued", 0), ("a2", "queued", -1)]
    lines = wherry("assessments", "list", "--data", data).stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["a0", "queued", "0"],
        ["a1", "running", "5"],
        ["a2", "queued", "-1"],
    ]


def test_an_assessment_that_waits_gets_another_priority(data: Path) -> None:
    change = ("assessments", "set-priority", "--data", data)
    done = wherry(*change, "a2", "a0", "--to", "-20")
    assert done.stdout == "a2 has the priority -20\na0 has the priority -20\n"
    assert listed(data, "--state", "queued") == [("a0", "queued", -20), ("a2", "queued", -20)]
    assert "there is no assessment x" in wherry(*change, "x", "--to", "1", code=1).stderr
    assert "a1 has begun" in wherry(*change, "a1", "--to", "1", code=1).stderr
    assert listed(data)[1] == ("a1", "running", 5)
    wherry(*change, "a0", "--to", "101", code=2)
    wherry(*change, "a0", code=2)
