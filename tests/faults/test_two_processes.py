"""Two servers over one folder: whoever is told that bytes are safe was told the truth."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api

from wherry.core.digests import Digest, crc64
from wherry.testing.server import Server, serving

CHUNK = 64 << 10
CHUNKS = 24
TRIALS = int(os.environ.get("WHERRY_KILLS", "50")) // 10


def race(servers: list[Server], upload_id: object, seed: int) -> None:
    """Every range is sent to both at once, with other bytes each time."""
    rng = random.Random(seed)
    work = [
        (server, index * CHUNK, rng.randbytes(CHUNK))
        for index in range(CHUNKS)
        for server in servers
    ]

    def send(server: Server, at: int, data: bytes) -> None:
        with Api(server.url) as api:
            answer = api.chunk(upload_id, at, data)
        if answer.status_code != httpx2.codes.OK:
            assert answer.json()["code"] in ("superseded", "busy"), answer.text

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(send, *item) for item in work]:
            done.result()


def fill(server: Server, upload_id: object) -> None:
    """Send what a race left open."""
    with Api(server.url) as api:
        missing = api.status(upload_id)["missing"]
        assert isinstance(missing, list)
        for start, end in missing:
            assert api.chunk(upload_id, start, os.urandom(end - start)).status_code == 200


@pytest.mark.slow
def test_the_file_is_what_was_recorded_whoever_raced_for_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, assessment=False) as one, serving(data, assessment=False) as other:
        for seed in range(TRIALS):
            with Api(one.url) as api, Api(other.url) as second:
                upload_id = api.init(CHUNKS * CHUNK)["upload_id"]
                race([one, other], upload_id, seed)
                fill(other, upload_id)
                with ThreadPoolExecutor(2) as pool:
                    both = [pool.submit(a.complete, upload_id) for a in (api, second)]
                    answers = [done.result() for done in both]
                assert [answer.status_code for answer in answers] == [200, 200]
                recorded = second.status(upload_id)["digest"]
            [stored] = (data / "files").glob(f"{upload_id}.*")
            assert str(Digest.of_crc(crc64(stored.read_bytes()))) == recorded, f"seed {seed}"
            stored.unlink()


@pytest.mark.slow
def test_when_one_of_two_is_killed_the_other_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    content = random.Random(9).randbytes(CHUNKS * CHUNK)
    with serving(data, completion_lease=0.5) as one, serving(data, completion_lease=0.5) as other:
        with Api(one.url) as api:
            upload_id = api.init(len(content))["upload_id"]
            for at in range(0, len(content) // 2, CHUNK):
                assert api.chunk(upload_id, at, content[at : at + CHUNK]).status_code == 200
        one.kill()
        with Api(other.url) as api:
            assert api.status(upload_id)["offset"] == len(content) // 2
            for at in range(len(content) // 2, len(content), CHUNK):
                assert api.chunk(upload_id, at, content[at : at + CHUNK]).status_code == 200
            assert api.complete(upload_id).status_code == 200
        [stored] = (data / "files").iterdir()
        assert stored.read_bytes() == content
