"""Fifty come at once, ten may be open, there is room for twelve: all of them finish.

The volume is a real one of its own, where a write that finds no space fails. A bucket has no
volume: there, the room is the setting `max_reserved`.

`make test-queue` does it with files of 500 MiB.
"""

from __future__ import annotations

import filecmp
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Api
from tests.parts import need

from wherry.client import Client, Progress
from wherry.core.limits import KiB, MiB
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.ports import free_port
from wherry.testing.s3 import BUCKET, S3Server
from wherry.testing.server import serving

SIZE = int(os.environ.get("WHERRY_SIZE_MIB", "4")) * MiB
CHUNK = min(SIZE // 8, 5 * MiB)
OPEN, ALL, ROOM = 10, 50, 12
#: How long all uploads may take to begin, and the application to start or to end, in seconds.
TIMEOUT = 120
#: What the catalog may take of the volume.
CATALOG = 8 * MiB

APPLICATION = """
import logging, shutil, sys, time
from pathlib import Path
import uvicorn
from fastapi import FastAPI, Header
from wherry.router import FinishedFile, chunked_upload_router

data, elsewhere, port, catalog = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(message)s at=%(created).1f")

def user(x_user: str = Header()) -> str:
    return x_user

def until_all_have_come(file: FinishedFile) -> None:
    while not Path(elsewhere, "all-have-come").exists():
        time.sleep(0.05)

def move_away(file: FinishedFile) -> str:
    shutil.move(file.path, Path(elsewhere, file.filename))
    return f"of-{file.filename}"

app = FastAPI()
router = chunked_upload_router(
    owner=user, before_complete=until_all_have_come, on_complete=move_away,
    data=data, min_free=int(catalog),
)
app.include_router(router, prefix="/api")
uvicorn.run(app, host="127.0.0.1", port=int(port), log_config=None, access_log=False)
"""


@contextmanager
def application(tmp_path: Path) -> Iterator[tuple[str, Path, Path]]:
    """Its address, where it moves its files, its log; its data on a small volume of its own."""
    data, elsewhere, log = tmp_path / "data", tmp_path / "elsewhere", tmp_path / "log"
    data.mkdir()
    elsewhere.mkdir()
    program = tmp_path / "application.py"
    program.write_text(APPLICATION)
    port = free_port()
    size = ROOM * SIZE + 2 * CATALOG
    mount = f'mount -t tmpfs -o size={size} none {data} && exec "$@"'
    command = [sys.executable, program, data, elsewhere, port, CATALOG]
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", mount, "sh", *map(str, command)], stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}/api"
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                httpx2.get(f"{url}/chunked-upload/", headers={"x-user": "a"})
                break
            except httpx2.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield url, elsewhere, log
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def can_mount(tmp_path: Path) -> bool:
    """Whether this user may have a volume of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_files(folder: Path) -> list[Path]:
    """Each MiB of each begins with other bytes. The rest are holes, so they take little space."""
    files = [folder / f"film-{number}.mp4" for number in range(ALL)]
    for path in files:
        with path.open("wb") as file:
            file.truncate(SIZE)
            for at in range(0, SIZE, MiB):
                file.seek(at)
                file.write(secrets.token_bytes(KiB))
    return files


def begun(log: Path) -> int:
    """How many uploads there are. Where `init` was repeated, its upload is resumed, not created."""
    return len(set(re.findall(r"^(?:created|resumed) upload_id=(\w+)", log.read_text(), re.M)))


def count(log: Path, pattern: str) -> int:
    return len(re.findall(pattern, log.read_text(), re.MULTILINE))


def most_open(log: Path) -> int:
    """How many were open at once at most, by what the log says happened."""
    now, most = set[str](), 0
    lines = re.findall(r"^(\S+) upload_id=(\w+)(.*)$", log.read_text(), re.MULTILINE)
    for event, upload_id, rest in lines:
        if event == "let-in" or (event == "created" and "state=receiving" in rest):
            now.add(upload_id)
        elif event == "complete":
            now.discard(upload_id)
        most = max(most, len(now))
    return most


@pytest.mark.slow
def test_fifty_finish_on_a_volume_with_room_for_twelve(tmp_path: Path) -> None:
    need(can_mount(tmp_path), "a volume of one's own (unshare, tmpfs)")
    files = make_files(tmp_path)
    told: dict[Path, list[Progress]] = {path: [] for path in files}

    with application(tmp_path) as (url, elsewhere, log), ThreadPoolExecutor(ALL) as threads:

        def bring(number: int) -> str | None:
            path = files[number]
            client = Client(url, headers={"x-user": f"user-{number % 7}"}, chunk_size=CHUNK)
            uploaded = client.upload(path, on_progress=told[path].append, smart=False)
            assert filecmp.cmp(elsewhere / path.name, path, shallow=False)
            (elsewhere / path.name).unlink()  # there may be no room for all of them
            path.unlink()
            return uploaded.assessment_id

        running = [threads.submit(bring, number) for number in range(ALL)]
        deadline = time.monotonic() + TIMEOUT
        while begun(log) < ALL and time.monotonic() < deadline:
            time.sleep(0.1)
        (elsewhere / "all-have-come").touch()
        done = [upload.result() for upload in running]

        assert done == [f"of-{path.name}" for path in files]
        # More than these, where reserving the space of a large file takes longer than the next
        # request: then the line is not empty any more.
        assert count(log, "^created .*state=waiting") >= ALL - OPEN
        assert most_open(log) == OPEN
        assert count(log, "disk-full|storage-failed|not-reserved|Traceback|turn-missed") == 0
    waited = [path for path in files if any(p.state == "waiting" for p in told[path])]
    assert len(waited) >= ALL - OPEN
    for path in waited:
        assert any(progress.position for progress in told[path])


@pytest.mark.slow
def test_fifty_finish_over_two_servers_with_a_database_and_an_object_store(
    tmp_path: Path, database: str, s3_server: S3Server, s3_options: dict[str, Any]
) -> None:
    require_nginx()
    options = {
        **s3_options,
        "assessment": False,
        "database": database,
        "max_open": OPEN,
        "max_reserved": ROOM * SIZE,
    }
    files = make_files(tmp_path)
    stored, have_all_come = s3_server.folder / BUCKET / tmp_path.name / "files", Event()

    def hold_back(progress: Progress) -> None:
        """The ten that are open send nothing before the forty others have come."""
        if progress.state == "sending":
            assert have_all_come.wait(TIMEOUT)

    with (
        serving(tmp_path / "one", **options) as one,
        serving(tmp_path / "two", **options) as two,
        nginx(one.port, more=[two.port]) as proxy,
        ThreadPoolExecutor(ALL) as threads,
        Api(proxy.url) as api,
    ):

        def bring(path: Path) -> None:
            client = Client(f"{proxy.url}/api", chunk_size=CHUNK)
            uploaded = client.upload(path, on_progress=hold_back, smart=False)
            assert filecmp.cmp(stored / f"{uploaded.upload_id}.mp4", path, shallow=False)
            path.unlink()

        running = [threads.submit(bring, path) for path in files]
        try:
            while (use := storage(api))["uploads"] + use["waiting"] < ALL:
                assert not any(upload.done() for upload in running), "none can be complete yet"
                time.sleep(0.1)
        finally:
            have_all_come.set()
        assert (use["uploads"], use["waiting"]) == (OPEN, ALL - OPEN)
        while not all(upload.done() for upload in running):
            use = storage(api)
            assert use["uploads"] <= OPEN
            assert use["reserved"] <= ROOM * SIZE
            time.sleep(0.2)
        for upload in running:
            upload.result()


def storage(api: Api) -> dict[str, int]:
    found: dict[str, int] = api.http.get("/chunked-upload/storage").json()
    return found
