"""Servers that are killed, stopped, restarted and cut off under load lose no acknowledged byte."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.e2e.conftest import Api, make_file
from tests.scale.conftest import BEHIND_WIRES, Cluster

from wherry.catalog.postgres.connections import SCHEMA
from wherry.client import Client
from wherry.testing.video import make_video

KiB, MiB = 1024, 1024 * 1024
#: `make test-scale` has 200, of which 60 are videos.
UPLOADS = int(os.environ.get("WHERRY_UPLOADS", "8"))
VIDEOS = UPLOADS * 3 // 10
SEED = int(os.environ.get("WHERRY_SEED", "1"))
#: How long all assessments may take after the last upload, in seconds.
ASSESSING = 600
MOST_WORKERS_KILLED = 2
#: How long a server is stopped or cut off, in seconds: longer than it keeps its locks and its
#: transactions.
AWAY = 8.0


def disturb(cluster: Cluster, rng: random.Random, is_over: threading.Event) -> None:
    """Kill, stop, cut off or restart something every few seconds, and leave everything running.

    At least once each, also if all uploads are complete before.
    """
    blows: list[Callable[[Cluster, random.Random, int], None]]
    blows = [_kill, _stop, _cut_off, _kill_worker, _restart, _restart_database]
    number = 0
    while not is_over.wait(rng.uniform(1.0, 3.0)) or number < len(blows):
        blows[number % len(blows)](cluster, rng, number)
        number += 1


def _kill(cluster: Cluster, rng: random.Random, _: int) -> None:
    pod = rng.choice(cluster.pods)
    pod.kill()
    pod.start()


def _kill_worker(cluster: Cluster, rng: random.Random, number: int) -> None:
    if number < MOST_WORKERS_KILLED * 6:  # a file that killed three workers is given up
        worker = rng.choice(cluster.workers)
        worker.kill()
        worker.start()


def _stop(cluster: Cluster, rng: random.Random, _: int) -> None:
    pod = rng.choice(cluster.pods)
    os.kill(pod.pid, signal.SIGSTOP)
    try:
        time.sleep(AWAY)
    finally:
        os.kill(pod.pid, signal.SIGCONT)


def _cut_off(cluster: Cluster, rng: random.Random, _: int) -> None:
    """From everything: the database, the store and nginx."""
    lines = rng.choice(cluster.lines)
    for line in lines:
        line.cut()
    try:
        time.sleep(AWAY)
    finally:
        for line in lines:
            line.mend()


def _restart(cluster: Cluster, rng: random.Random, _: int) -> None:
    """As a deployment does: the server finishes what is in flight, then ends."""
    pod = rng.choice(cluster.pods)
    pod.stop()
    pod.start()


def _restart_database(cluster: Cluster, _: random.Random, __: int) -> None:
    cluster.database.restart()


def files(folder: Path, rng: random.Random) -> list[Path]:
    """The files to send; the first are videos, each with bytes of its own."""
    folder.mkdir()
    video = make_video(folder / "video.mp4", seconds=5)
    made = []
    for number in range(VIDEOS):
        path = folder / f"video-{number}.mp4"
        # A box that players skip makes each one another file.
        free = rng.randbytes(64)
        path.write_bytes(video.read_bytes() + (8 + len(free)).to_bytes(4) + b"free" + free)
        made.append(path)
    for number in range(VIDEOS, UPLOADS):
        size = rng.choice([rng.randrange(1, 300 * KiB), rng.randrange(MiB, 16 * MiB)])
        made.append(make_file(folder / f"file-{number}.bin", size, number))
    return made


def assessed(cluster: Cluster) -> Counter[str]:
    with psycopg.connect(cluster.database_url) as session:
        rows = session.execute(f"SELECT upload_id, state FROM {SCHEMA}.assessments").fetchall()
    return Counter(row[1] for row in rows)


def times_assessed(cluster: Cluster) -> Counter[str]:
    """How often each assessment was brought to its end, by what all workers have logged.

    A worker logs that after it has recorded it. If it is killed between the two, or the database
    ends before it answers, nothing is logged.
    """
    logs = (worker.log.read_text() for worker in cluster.workers)
    return Counter(
        found for log in logs for found in re.findall(r"assessment-done.* assessment_id=(\w+)", log)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings(f"default:{BEHIND_WIRES}")
def test_no_acknowledged_byte_is_lost_and_each_upload_is_assessed_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    to_send = files(tmp_path / "files", rng)
    is_over = threading.Event()
    blows = threading.Thread(target=disturb, args=(cluster, random.Random(SEED), is_over))
    blows.start()

    def send(number: int) -> str:
        # Chunks of all sizes: parts of the bucket, and small ones that are put together.
        size = (64 * KiB, 512 * KiB, 5 * MiB)[number % 3]
        with Client(cluster.url, key=cluster.key, chunk_size=size, idle_timeout=10.0) as client:
            return client.upload(to_send[number], smart=number % 2 == 0).upload_id

    try:
        with ThreadPoolExecutor(6) as pool:
            upload_ids = list(pool.map(send, range(UPLOADS)))
    except BaseException as error:
        error.add_note(f"WHERRY_SEED={SEED}\n{cluster.logs()}")
        raise
    finally:
        is_over.set()
        blows.join()
    for path, upload_id in zip(to_send, upload_ids, strict=True):
        [stored] = (cluster.objects / "files").glob(f"{upload_id}.*")
        assert stored.read_bytes() == path.read_bytes(), path.name
    deadline = time.monotonic() + ASSESSING
    while (found := assessed(cluster)).keys() - {"done", "failed"}:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert found == Counter(done=UPLOADS)
    ended = times_assessed(cluster)
    assert set(ended.values()) == {1}
    assert len(ended) > UPLOADS // 2, "the workers' logs say too little to tell"
    # What was sent twice, or in vain, was removed.
    with Api(cluster.url.removesuffix("/api"), cluster.key) as api:
        assert api.http.get("/chunked-upload/storage").json()["reserved"] == 0
