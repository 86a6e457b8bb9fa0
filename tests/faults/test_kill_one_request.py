"""kill -9 while whole files come, one in each request: what was answered is there, once.

A failure prints the seed of its trial; `WHERRY_SEED=that WHERRY_KILLS=10` plays it again.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api

from wherry.testing.server import Server, serving

KiB = 1024
KILLS = max(int(os.environ.get("WHERRY_KILLS", "50")) // 10, 1)
SEED = int(os.environ.get("WHERRY_SEED", "1"))
#: Above 1 MiB, a file goes in steps.
SIZES = (0, 1, 10 * KiB, 100 * KiB, 100 * KiB, 1300 * KiB)


@dataclass
class Files:
    """What a client has sent, by the idempotency key, and what it was answered."""

    data: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, object] = field(default_factory=dict)

    def make(self, rng: random.Random, seed: int) -> list[str]:
        keys = [f"{seed}-{number}" for number in range(24)]
        self.data |= {key: rng.randbytes(rng.choice(SIZES)) for key in keys}
        return keys

    def send(self, url: str, keys: list[str]) -> None:
        with Api(url) as api:
            for key in keys:
                headers = {
                    "Content-Disposition": 'attachment; filename="film.mp4"',
                    "Idempotency-Key": f'"{key}"',
                }
                for _ in range(1000):
                    answer = api.http.post(
                        "/chunked-upload/upload", content=self.data[key], headers=headers
                    )
                    # The sweep has the key's lock while it removes what the crash has left.
                    if answer.status_code != 409 or answer.json()["code"] != "busy":
                        break
                    time.sleep(0.05)
                assert answer.status_code == 200, answer.text
                assert self.answers.setdefault(key, answer.json()) == answer.json()


def trial(server: Server, files: Files, seed: int) -> None:
    rng = random.Random(seed)
    keys = files.make(rng, seed)
    killer = threading.Timer(rng.uniform(0, 0.6), server.kill)
    killer.start()
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(files.send, server.url, keys[n::4]) for n in range(4)]
        for each in sent:
            with suppress(httpx2.TransportError):
                each.result()
    killer.join()
    server.start()
    # The client repeats all of them, as it cannot know which ones have arrived.
    files.send(server.url, keys)
    with Api(server.url) as api:
        for key in keys:
            answer = files.answers[key]
            assert isinstance(answer, dict)
            stored = api.http.get(f"/chunked-upload/files/{answer['upload_id']}").content
            assert stored == files.data[key], f"{key} differs"


@pytest.mark.slow
def test_what_was_answered_is_there_once_with_its_assessment(tmp_path: Path) -> None:
    files = Files()
    with serving(tmp_path / "data", completion_lease=0.5, min_free=0) as server:
        for seed in range(SEED, SEED + KILLS):
            try:
                trial(server, files, seed)
            except BaseException as error:
                error.add_note(
                    f"WHERRY_SEED={seed} WHERRY_KILLS=10\n{server.log.read_text()[-3000:]}"
                )
                raise
        records = sqlite3.connect(server.data / "catalog.sqlite")
        found = records.execute("SELECT state, count(*) FROM uploads GROUP BY state").fetchall()
        assessed = records.execute(
            "SELECT count(*), count(DISTINCT upload_id) FROM assessments"
        ).fetchone()
        records.close()
        count = len(files.data)
        assert found == [("complete", count)]
        assert assessed == (count, count)
        assert len(list((server.data / "files").iterdir())) == count
        assert list((server.data / "temp_chunks").iterdir()) == []
