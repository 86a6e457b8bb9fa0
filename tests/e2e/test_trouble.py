"""A server in trouble: the disk is full, a client trickles, a client goes away."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.e2e.conftest import Api
from tests.waiting import wait_until

from wherry.testing.server import Server, serving

#: For a busy machine, in seconds.
TIMEOUT = 120.0

MiB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A volume of 32 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small volume needs root")
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


def fill(volume: Path) -> None:
    """Leave two megabytes, which the catalog needs."""
    filler = volume / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(MiB))
            file.flush()
    os.truncate(filler, filler.stat().st_size - 2 * MiB)


def test_a_full_disk_is_known_before_the_first_byte_and_harms_nobody(small_disk: Path) -> None:
    with (
        serving(small_disk / "data", assessment=False, min_free=0) as server,
        Api(server.url) as api,
    ):
        never = api.http.post("/chunked-upload/init", json={"filename": "a", "size": 40 * MiB})
        assert (never.status_code, never.json()["code"]) == (507, "never-fits")
        upload_id = api.init(20 * MiB)["upload_id"]
        data = os.urandom(MiB)
        assert api.chunk(upload_id, 0, data).status_code == 200
        later = api.http.post("/chunked-upload/init", json={"filename": "b", "size": 15 * MiB})
        assert (later.status_code, later.json()["state"]) == (202, "waiting")
        fill(small_disk)  # whoever does that: what was reserved is still there
        for at in range(1, 20):
            assert api.chunk(upload_id, at * MiB, data).status_code == 200
        assert api.complete(upload_id).status_code == 200
        [stored] = (server.data / "files").iterdir()
        assert stored.read_bytes() == data * 20


def half_a_chunk(
    server: Server, upload_id: object, data: bytes, length: int = 200_000
) -> socket.socket:
    """A request that announces so many bytes and has sent these."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(
        f"POST /api/chunked-upload/chunk?upload_id={upload_id}&offset=0 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{server.port}\r\nContent-Length: {length}\r\n\r\n".encode()
        + data
    )
    return connection


def test_a_client_that_trickles_is_ended_and_what_it_brought_is_kept(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", assessment=False, chunk_timeout=1) as server,
        Api(server.url) as api,
    ):
        upload_id = api.init(200_000)["upload_id"]
        data = os.urandom(100_000)
        with half_a_chunk(server, upload_id, data) as connection:
            deadline, sent, answer = time.monotonic() + TIMEOUT, 100_000, b""
            connection.settimeout(0.1)
            with suppress(ConnectionError):
                while not answer:
                    assert time.monotonic() < deadline
                    sent += connection.send(b"x")
                    with suppress(TimeoutError):
                        answer = connection.recv(4096)
        assert b"408" in answer
        assert b"body-stalled" in answer
        status = api.status(upload_id)
        assert isinstance(status["offset"], int)
        assert 100_000 <= status["offset"] <= sent


def test_a_client_that_goes_away_leaves_what_it_brought(tmp_path: Path) -> None:
    with serving(tmp_path / "data", assessment=False) as server, Api(server.url) as api:
        upload_id = api.init(400_000)["upload_id"]
        data = os.urandom(300_000)
        written = server.data / "temp_chunks" / str(upload_id) / "data"
        with half_a_chunk(server, upload_id, data, 400_000):
            # uvicorn forgets what it has not handed on when a client is gone.
            wait_until(lambda: written.read_bytes()[:1000] == data[:1000])
        wait_until(lambda: api.status(upload_id)["offset"] != 0)
        kept = int(str(api.status(upload_id)["offset"]))
        assert kept <= 300_000
        assert api.chunk(upload_id, kept, data[kept:] + bytes(100_000)).status_code == 200
        assert api.complete(upload_id).status_code == 200
        [stored] = (server.data / "files").iterdir()
        assert stored.read_bytes() == data + bytes(100_000)


def test_a_stopped_client_does_not_hold_up_the_one_who_comes_again(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", assessment=False, chunk_timeout=600) as server,
        Api(server.url) as api,
    ):
        upload_id = api.init(200_000)["upload_id"]
        with half_a_chunk(server, upload_id, bytes(100_000)):
            time.sleep(0.2)
            data = os.urandom(200_000)
            # `Api` waits for a minute; whoever is held up waits for ten.
            assert api.chunk(upload_id, 0, data).status_code == 200
        assert api.complete(upload_id).status_code == 200
        [stored] = (server.data / "files").iterdir()
        assert stored.read_bytes() == data
