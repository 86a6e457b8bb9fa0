"""The two commands that operators know for a folder of uploads, on a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Api
from tests.watching.conftest import samples, value

from wherry.testing.server import Server, serving

pytestmark = pytest.mark.skipif(shutil.which("find") is None, reason="there is no find")

KiB = 1024
SIZE = 256 * KiB
DAY = 24 * 3600.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    # As they have it: /app/backend/temp_chunks. Expiry is another matter, and far off here.
    (tmp_path / "app").mkdir()
    options = {"assessment": False, "expires_after": 30 * DAY, "min_free": 0}
    with serving(tmp_path / "app" / "backend", **options) as server:
        yield server


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    with Api(server.url) as api:
        yield api


def begin(api: Api, **more: object) -> str:
    """An upload of which half is there."""
    upload_id = str(api.init(SIZE, **more)["upload_id"])
    assert api.chunk(upload_id, 0, bytes(SIZE // 2)).is_success
    return upload_id


def go_on(api: Api, upload_id: str) -> int:
    return api.chunk(upload_id, SIZE // 2, bytes(SIZE // 2)).status_code


def listed(server: Server) -> set[str]:
    """What `ls -lh temp_chunks/` shows."""
    command = ["ls", "-lh", f"{server.data}/temp_chunks/"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in shown.splitlines()[1:]}


def clean_up(server: Server) -> None:
    """Their command, letter by letter. `find` complains of folders that are gone, and goes on."""
    command = rf"find {server.data}/temp_chunks -type d -mtime +1 -exec rm -rf {{}} \;"
    subprocess.run(["sh", "-c", command], capture_output=True, check=False)


def make_older(server: Server, *upload_ids: str, days: float = 3) -> None:
    """As if nothing had happened to these, and to the folder of all, for so long."""
    then = time.time() - days * DAY
    chunks = server.data / "temp_chunks"
    for path in (*(chunks / upload_id for upload_id in upload_ids), chunks):
        os.utime(path, (then, then))


def reserved(api: Api, server: Server) -> tuple[float, float]:
    """Bytes reserved, and uploads that are open."""
    found = samples(api.http.get(f"{server.url}/metrics").text)
    return value(found, "reserved_bytes"), value(found, "open_slots")


def test_the_listing_shows_what_is_unfinished_and_nothing_else(server: Server, api: Api) -> None:
    assert listed(server) == set()
    unfinished, cancelled, finished = begin(api), begin(api), begin(api)
    assert listed(server) == {unfinished, cancelled, finished}
    api.http.delete(f"/chunked-upload/{cancelled}")
    assert go_on(api, finished) == 200
    assert api.complete(finished).json()["state"] == "complete"
    assert listed(server) == {unfinished}


def test_what_received_bytes_today_survives(server: Server, api: Api) -> None:
    idle, active = begin(api), begin(api)
    make_older(server, idle, active)
    assert api.chunk(active, SIZE // 2, bytes(64 * KiB)).is_success
    clean_up(server)
    assert listed(server) == {active}
    assert api.chunk(active, SIZE // 2 + 64 * KiB, bytes(64 * KiB)).is_success
    assert api.complete(active).json()["state"] == "complete"


def test_a_whole_day_without_bytes_is_not_enough_for_mtime_plus_one(
    server: Server, api: Api
) -> None:
    upload_id = begin(api)
    make_older(server, upload_id, days=1.5)
    clean_up(server)  # "more than one whole day" begins with the second
    assert listed(server) == {upload_id}


def test_a_removed_upload_is_gone_for_whoever_sends_its_next_chunk(
    server: Server, api: Api
) -> None:
    removed, other = begin(api), begin(api)
    make_older(server, removed)
    (server.data / "temp_chunks" / other).touch()
    os.utime(server.data / "temp_chunks")
    clean_up(server)
    assert reserved(api, server) == (2 * SIZE, 2)
    answer = api.chunk(removed, SIZE // 2, bytes(SIZE // 2))
    assert (answer.status_code, answer.json()["code"]) == (410, "upload-gone")
    assert answer.json()["reason"] == "its folder was removed"
    assert reserved(api, server) == (SIZE, 1)
    assert api.status(removed)["state"] == "expired"
    assert api.complete(removed).status_code == 410
    assert go_on(api, other) == 200


def test_a_removed_upload_is_gone_for_whoever_asks_for_its_status(server: Server, api: Api) -> None:
    upload_id = begin(api)
    make_older(server, upload_id)
    clean_up(server)
    status = api.status(upload_id)
    assert (status["state"], status["failure"]) == ("expired", "its folder was removed")
    assert reserved(api, server) == (0, 0)
    assert go_on(api, upload_id) == 410


def test_a_removed_upload_is_gone_for_whoever_completes_it(server: Server, api: Api) -> None:
    upload_id = begin(api)
    assert go_on(api, upload_id) == 200
    make_older(server, upload_id)
    clean_up(server)
    answer = api.complete(upload_id)
    assert (answer.status_code, answer.json()["code"]) == (410, "upload-gone")
    assert reserved(api, server) == (0, 0)


def test_the_space_of_a_removed_upload_is_free_though_nobody_asks(
    tmp_path: Path,
) -> None:
    options = {
        "assessment": False,
        "sweep_every": 0.2,
        "min_free": 0,
        "expires_after": 30 * DAY,
    }
    with serving(tmp_path / "backend", **options) as server, Api(server.url) as api:
        upload_id = begin(api)
        make_older(server, upload_id)
        clean_up(server)
        deadline = time.monotonic() + 120
        while reserved(api, server) != (0, 0):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "vanished" in server.log.read_text()


def test_the_folder_of_all_comes_back_when_it_was_removed(server: Server, api: Api) -> None:
    before = begin(api, fingerprint="f")
    make_older(server, before)
    clean_up(server)
    assert not (server.data / "temp_chunks").exists()
    assert go_on(api, before) == 410
    again = begin(api, fingerprint="f")
    assert again != before
    assert listed(server) == {again}
    assert go_on(api, again) == 200
    assert api.complete(again).json()["state"] == "complete"
    assert api.http.get(f"{server.url}/readyz").status_code == 200


def test_an_old_folder_of_all_takes_no_active_upload_along(server: Server, api: Api) -> None:
    # Nothing was begun or finished for days: only one upload's bytes came all the time.
    upload_id = begin(api)
    make_older(server, upload_id)
    assert api.chunk(upload_id, SIZE // 2, bytes(64 * KiB)).is_success
    clean_up(server)
    assert listed(server) == {upload_id}
    assert api.status(upload_id)["received_bytes"] == SIZE // 2 + 64 * KiB
