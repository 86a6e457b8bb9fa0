"""The application of `examples/assessment_app`: without Wherry, and with the promised edits."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import make_file, sha256
from tests.examples.edits import (
    APPLICATION,
    PAGE,
    PROMISED,
    SERVER,
    add_wherry,
    write,
)
from tests.examples.edits import after as files_after
from tests.examples.edits import before as files_before
from tests.examples.running import TIMEOUT, Example, run, running_example

from wherry.client import Client, Progress, Unauthorized
from wherry.core.limits import MiB
from wherry.testing.video import make_video

README = APPLICATION / "README.md"
#: Seconds between two looks at something that another process does.
LOOK_EVERY = 0.02


@pytest.fixture(scope="module")
def before() -> Iterator[Example]:
    with running_example("before") as example:
        yield example


@pytest.fixture(scope="module")
def after() -> Iterator[Example]:
    with running_example("after") as example:
        yield example


def cookie(example: Example, name: str) -> dict[str, str]:
    [(field, value)] = example.sign_in(name).items()
    return {"Cookie": f"{field}={value}"}


def client_of(example: Example, name: str, chunk_size: int | None = None) -> Client:
    headers = cookie(example, name)
    return Client(f"{example.url}/api", headers=headers, chunk_size=chunk_size, patience=TIMEOUT)


def processed(example: Example, name: str, assessment_id: str | None) -> dict[str, Any]:
    """The application's own assessment when it is done, as its own API tells it."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        url = f"{example.url}/api/assessments/{assessment_id}"
        found: dict[str, Any] = httpx2.get(url, headers=cookie(example, name)).json()
        if found.get("status") == "done" or time.monotonic() > deadline:
            return found
        time.sleep(LOOK_EVERY)


# What is written.


def test_the_edits_are_the_promised_lines_and_no_others() -> None:
    before, after = files_before(), files_after()
    added = [
        line.strip()
        for file in (SERVER, PAGE)
        for line in after[file].decode().splitlines()
        if line not in before[file].decode().splitlines()
    ]
    assert added == list(PROMISED)
    assert {edit.file for edit in add_wherry.EDITS} == {SERVER, PAGE}


def test_the_readme_shows_the_edits_as_the_script_prints_them() -> None:
    [shown] = re.findall(r"^```diff\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert shown == "".join(add_wherry.differences())


def test_an_edit_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = add_wherry.Edit(SERVER, "no such line", "")
    monkeypatch.setattr(add_wherry, "EDITS", (odd,))
    with pytest.raises(ValueError, match=r"backend/server\.py has 'no such line' 0 times"):
        files_after()


def test_adding_wherry_again_keeps_what_running_has_left(tmp_path: Path) -> None:
    copy = tmp_path / "application"
    shutil.copytree(APPLICATION, copy, ignore=shutil.ignore_patterns(".venv", "after"))
    (copy / "before/backend/app.sqlite").write_text("before's own")
    program = [sys.executable, "add_wherry.py"]
    assert run(program, copy) == "".join(add_wherry.differences())
    assert not (copy / "after/backend/app.sqlite").exists()
    (copy / "after/backend/app.sqlite").write_text("kept")
    (copy / "after" / SERVER).write_text("edited by hand")
    run(program, copy)
    assert (copy / "after/backend/app.sqlite").read_text() == "kept"
    assert (copy / "after" / SERVER).read_bytes() == files_after()[SERVER]


def test_no_lock_file_names_a_registry() -> None:
    assert b'"resolved"' not in files_after()["frontend/package-lock.json"]


# What it does.


@pytest.mark.slow
def test_before_a_video_of_two_megabytes_is_refused_at_the_ingress(before: Example) -> None:
    def upload(size: int) -> httpx2.Response:
        return httpx2.post(
            f"{before.url}/api/assessments/upload",
            files={"file": ("talk.mp4", bytes(size))},
            headers=cookie(before, "alice"),
        )

    refused, small = upload(2 * MiB), upload(1000)
    assert refused.status_code == 413
    assert refused.headers["server"].startswith("nginx")
    done = processed(before, "alice", small.json()["assessment_id"])
    assert done["result"]["size"] == 1000


@pytest.mark.slow
def test_after_a_large_video_arrives_and_the_application_processes_it(
    after: Example, tmp_path: Path
) -> None:
    film = make_file(tmp_path / "talk.mp4", 20 * MiB)
    seen: list[list[str]] = []

    def look(progress: Progress) -> None:
        if 0 < progress.bytes_safe < progress.bytes_total:
            seen.append([path.name for path in (after.data / "uploads" / "temp_chunks").iterdir()])

    result = client_of(after, "alice").upload(film, on_progress=look)
    done = processed(after, "alice", result.assessment_id)
    assert done == {
        "assessment_id": result.assessment_id,
        "filename": "talk.mp4",
        "status": "done",
        "result": {"size": 20 * MiB, "sha256": sha256(film), "duration": None},
    }
    kept = after.data / "videos" / f"{result.assessment_id}.mp4"
    assert kept.read_bytes() == film.read_bytes()
    assert [result.upload_id] in seen  # what is unfinished is there to be listed
    assert not list((after.data / "uploads" / "temp_chunks").iterdir())


@pytest.mark.slow
def test_what_one_user_uploads_does_not_exist_for_another(after: Example, tmp_path: Path) -> None:
    film = make_file(tmp_path / "talk.mp4", 2 * MiB)
    result = client_of(after, "alice").upload(film)
    for path in (f"chunked-upload/{result.upload_id}", f"assessments/{result.assessment_id}"):
        for name, status in (("alice", 200), ("bob", 404)):
            answer = httpx2.get(f"{after.url}/api/{path}", headers=cookie(after, name))
            assert (answer.status_code, path) == (status, path)


@pytest.mark.slow
def test_who_is_not_signed_in_is_told_so_before_a_byte_is_read(after: Example) -> None:
    # At the backend itself: nginx would read the body first.
    address = httpx2.URL(after.backend_url)
    head = (
        "POST /api/chunked-upload/chunk?upload_id=0123456789abcdef&offset=0 HTTP/1.1\r\n"
        "Host: app\r\nContent-Length: 1048576\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port or 0), timeout=TIMEOUT) as asking:
        asking.sendall(head.encode())
        assert asking.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


@pytest.mark.slow
def test_a_page_to_try_it_with_comes_along(after: Example) -> None:
    page = httpx2.get(f"{after.url}/api/chunked-upload/page/")
    assert 'content="../../"' in page.text
    [script] = re.findall(r'src="\./(assets/[^"]+\.js)"', page.text)
    assert httpx2.get(f"{after.url}/api/chunked-upload/page/{script}").status_code == 200


def test_a_page_of_another_site_cannot_upload_with_the_users_cookie(after: Example) -> None:
    answer = httpx2.post(
        f"{after.url}/api/chunked-upload/init",
        json={"filename": "talk.mp4", "size": 1},
        headers=cookie(after, "alice") | {"Origin": "https://elsewhere.example"},
    )
    assert answer.status_code == 403
    assert "https://elsewhere.example" in answer.json()["detail"]


def test_the_applications_own_page_can_whatever_host_a_proxy_passes_on(after: Example) -> None:
    # As behind a bare `proxy_pass`: the backend's own address in Host, the page's in Origin.
    answer = httpx2.post(
        f"{after.backend_url}/api/chunked-upload/init",
        json={"filename": "talk.mp4", "size": 1},
        headers=cookie(after, "alice") | {"Origin": after.url},
    )
    assert answer.status_code == 201


@pytest.mark.slow
def test_an_expired_login_is_told_from_a_broken_upload(after: Example, tmp_path: Path) -> None:
    film = make_file(tmp_path / "talk.mp4", 2 * MiB)
    client = client_of(after, "bob")
    with closing(sqlite3.connect(after.data / "app.sqlite")) as database, database:
        database.execute("UPDATE sessions SET expires = 0")
    with pytest.raises(Unauthorized):
        client.upload(film)


@pytest.mark.slow
def test_an_upload_goes_on_by_itself_through_a_restart(after: Example, tmp_path: Path) -> None:
    film = make_file(tmp_path / "talk.mp4", 30 * MiB)
    restarted = threading.Event()
    problems: list[str] = []

    def restart_half_way(progress: Progress) -> None:
        if progress.problem:
            problems.append(progress.problem)
        if progress.bytes_safe < film.stat().st_size // 3 or restarted.is_set():
            return
        restarted.set()
        restarting.append(after.start_supervisorctl("restart", "backend", "frontend"))
        # The upload is held here until the backend is really away.
        deadline = time.monotonic() + TIMEOUT
        while after.is_backend_up() and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)

    restarting: list[Any] = []
    processes = after.supervisorctl("pid", "backend", "frontend")
    client = client_of(after, "alice", chunk_size=512 * 1024)
    result = client.upload(film, on_progress=restart_half_way)
    assert restarting[0].wait(TIMEOUT) == 0
    assert not set(after.supervisorctl("pid", "backend", "frontend").split()) & set(
        processes.split()
    )
    assert any("502" in problem for problem in problems)
    done = processed(after, "alice", result.assessment_id)
    assert done["result"]["sha256"] == sha256(film)
    # What had arrived before the restart was not sent again, but for requests in flight.
    assert result.bytes_sent_twice < film.stat().st_size // 3


def test_the_hand_over_may_be_called_again_after_a_crash(tmp_path: Path) -> None:
    write("after", tmp_path)
    backend = tmp_path / "backend"
    film = make_file(tmp_path / "0123456789abcdef.mp4", 1000)
    program = f"""
import assessments
from pathlib import Path
from routers.chunked_upload_router import start_assessment
from wherry.router import FinishedFile

path = Path({str(film)!r})
file = FinishedFile(path.stem, path, "talk.mp4", None, 1000, "1", {{}}, "")
print(start_assessment(file), start_assessment(file))
assessments._background.shutdown()
"""
    first, second = run([sys.executable, "-c", program], backend).split()
    assert first == second
    with closing(sqlite3.connect(backend / "app.sqlite")) as database:
        [(assessment_id, status)] = database.execute("SELECT id, status FROM assessments")
    assert (assessment_id, status) == (first, "done")
    assert (backend / "videos" / f"{first}.mp4").stat().st_size == 1000


def test_the_applications_processing_tells_how_long_a_video_is(tmp_path: Path) -> None:
    film = make_video(tmp_path / "talk.mp4", seconds=2, width=160, height=90)
    write("before", tmp_path)
    backend = tmp_path / "backend"
    program = (
        "import pathlib, sys, video; print(video.describe(pathlib.Path(sys.argv[1]))['duration'])"
    )
    said = run([sys.executable, "-c", program, str(film)], backend)
    assert float(said) == pytest.approx(2, abs=0.1)
