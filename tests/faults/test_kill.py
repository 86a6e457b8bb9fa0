"""kill -9 at random moments of upload and completion: no acknowledged byte is lost.

`make test` kills 10 times, `make test-faults` 1,000 times. A failure prints the
seed of its trial; `WHERRY_SEED=that WHERRY_KILLS=1` plays it again.
"""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api
from tests.faults.records import complete_and_assessed

from wherry.testing.server import Server, serving

KiB, MiB = 1024, 1024 * 1024
KILLS = int(os.environ.get("WHERRY_KILLS", "10"))
SEED = int(os.environ.get("WHERRY_SEED", "1"))
#: The chunks of an upload, and its largest size: of many small chunks, of some that take the body
#: lane, and of one that is recorded in rounds.
KINDS = ((64 * KiB, 4 * MiB), (512 * KiB, 8 * MiB), (40 * MiB, 48 * MiB))
HOW_OFTEN = (6, 3, 1)


@dataclass
class Client:
    """What a client knows: what it was told is safe, and what it was answered."""

    url: str
    data: bytes
    chunk: int
    upload_id: object = None
    safe: set[int] = field(default_factory=set)
    assessment_id: object = None

    def begin(self) -> None:
        with Api(self.url) as api:
            self.upload_id = api.init(len(self.data), fingerprint=str(hash(self.data)))["upload_id"]

    def run(self, rng: random.Random) -> None:
        """Send what is not safe, in any order, four at a time; then complete."""
        left = [at for at in range(0, len(self.data), self.chunk) if at not in self.safe]
        rng.shuffle(left)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(self.send, left[n::4]) for n in range(4)]:
                done.result()
        self.complete()

    def send(self, offsets: list[int]) -> None:
        with Api(self.url) as api:
            for at in offsets:
                answer = api.chunk(self.upload_id, at, self.data[at : at + self.chunk])
                assert answer.status_code == 200, answer.text
                self.safe.add(at)

    def complete(self) -> None:
        with Api(self.url) as api:
            answer = api.complete(self.upload_id)
        assert answer.status_code == 200, answer.text
        told = answer.json()["assessment_id"]
        assert self.assessment_id in (None, told), "two answers to the same question"
        self.assessment_id = told

    def check(self) -> None:
        """Every acknowledged byte is claimed by the server."""
        with Api(self.url) as api:
            received = api.status(self.upload_id)["received"]
        assert isinstance(received, list)
        for at in self.safe:
            end = min(at + self.chunk, len(self.data))
            assert any(a <= at and end <= b for a, b in received), f"lost {at}"


def trial(server: Server, seed: int) -> None:
    """One upload, with one kill at a random moment of it."""
    rng = random.Random(seed)
    [(chunk, most)] = rng.choices(KINDS, HOW_OFTEN)
    client = Client(server.url, rng.randbytes(rng.randrange(1, most)), chunk)
    client.begin()
    # Some die early, some while completing, and for some the blow comes too late.
    delay = rng.choice([rng.uniform(0, 0.05), rng.uniform(0, 0.5)])
    killer = threading.Timer(delay, server.kill)
    killer.start()
    try:
        client.run(rng)
    except httpx2.TimeoutException:  # whoever loses the server learns it, and is not left waiting
        raise
    except httpx2.TransportError:
        pass
    finally:
        killer.join()
    server.start()
    client.check()
    client.run(rng)
    [stored] = (server.data / "files").glob(f"{client.upload_id}.*")
    assert stored.read_bytes() == client.data
    assert not (server.data / "temp_chunks" / str(client.upload_id)).exists()
    stored.unlink()


@pytest.mark.slow
def test_no_acknowledged_byte_is_lost_and_there_is_one_assessment(tmp_path: Path) -> None:
    with serving(tmp_path / "data", completion_lease=0.5) as server:
        for seed in range(SEED, SEED + KILLS):
            try:
                trial(server, seed)
            except BaseException as error:
                error.add_note(
                    f"WHERRY_SEED={seed} WHERRY_KILLS=1\n{server.log.read_text()[-3000:]}"
                )
                raise
        assert complete_and_assessed(server.data) == (KILLS, KILLS, KILLS)
