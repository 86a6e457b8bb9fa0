"""What a video shows before it is uploaded is what its report says, through the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.recordings import padded, without_index
from tests.e2e.conftest import Api
from typer.testing import CliRunner

from wherry.cli import app
from wherry.client import Client, EarlyVerdict, StoppedEarly
from wherry.core.limits import KiB, MiB
from wherry.testing.server import Server, serving
from wherry.testing.video import make_video


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def made(path: Path, **options: Any) -> Path:
    return make_video(path, seconds=2, width=160, height=90, **options)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video without its index, of which one percent takes half a second at 2 MiB a second."""
    path = tmp_path_factory.mktemp("lost") / "lost.mp4"
    return without_index(padded(made(path), 100 * MiB))


FILES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "silent": (lambda path: padded(made(path, audio=False)), ["AUDIO-MISSING"]),
    "lost": (lambda path: without_index(padded(made(path))), ["FILE-UNREADABLE"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_video_is_told_early_what_its_report_says(
    name: str, server: Server, tmp_path: Path
) -> None:
    make, codes = FILES[name]
    path = make(tmp_path / f"{name}.mp4")
    data = path.read_bytes()
    with Api(server.url) as api:
        begun = api.init(len(data), filename=path.name)
        upload_id, early = begun["upload_id"], begun["early"]
        assert isinstance(early, dict)
        tail = len(data) - early["tail"]
        address = f"/chunked-upload/{upload_id}/early-verdict"
        assert api.http.get(address).json()["state"] == "more"
        assert api.chunk(upload_id, 0, data[: 128 * KiB]).is_success
        assert api.chunk(upload_id, tail, data[tail:]).is_success
        told = api.http.get(address).json()
        assert (told["state"], told["needs"], told["problem"]) == ("known", None, None)
        assert [finding["code"] for finding in told["findings"]] == codes
        assert api.chunk(upload_id, 128 * KiB, data[128 * KiB : tail]).is_success
        assessment_id = api.complete(upload_id).json()["assessment_id"]
        assert api.http.get(address).status_code == 409
    assessment = Client(f"{server.url}/api").wait_for_assessment(assessment_id)
    assert assessment.report is not None
    kept = ("code", "severity", "message")
    reported = [{name: one[name] for name in kept} for one in assessment.report["findings"]]
    for finding in told["findings"]:
        assert {name: finding[name] for name in kept} in reported


def test_a_client_that_stops_early_has_sent_little_and_leaves_nothing(
    server: Server, lost: Path
) -> None:
    told: list[EarlyVerdict] = []

    def stop(early: EarlyVerdict) -> bool:
        told.append(early)
        return early.verdict == "fail"

    client = Client(f"{server.url}/api", rate=2 * MiB)
    with pytest.raises(StoppedEarly, match="its index is missing"):
        client.upload(lost, on_early=stop)
    assert [finding.code for finding in told[0].findings] == ["FILE-UNREADABLE"]
    assert len(told) == 1
    uploads = client.get("/")["uploads"]
    states = {one["state"] for one in uploads if one["filename"] == lost.name and one["size"] > MiB}
    assert "cancelled" in states
    assert "receiving" not in states


def test_the_command_stops_early_when_it_is_told_to(server: Server, lost: Path) -> None:
    words = ["upload", str(lost), f"{server.url}/api", "--limit-rate", "2MiB", "--stop-early"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "The upload was stopped. The file cannot be read: its index is missing" in done.stderr
