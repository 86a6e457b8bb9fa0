"""500 MB in 100 chunks, and 60 MB in 1,000: whatever goes wrong, the bytes are the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api, make_file, sha256

from wherry.testing.proxy import Fault, LimitingProxy
from wherry.testing.server import Server, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", assessment=False) as server:
        yield server


def send(url: str, film: Path, upload_id: object, offsets: list[int], size: int) -> int:
    """One client's share, each chunk until it is acknowledged; how many answers were lost."""
    lost = 0
    with Api(url) as api, film.open("rb") as file:
        for offset in offsets:
            file.seek(offset)
            data = file.read(size)
            while True:
                try:
                    answer = api.chunk(upload_id, offset, data)
                except httpx2.TransportError:
                    lost += 1
                    continue
                if answer.status_code == 200:
                    break
                assert answer.json()["retryable"], answer.text
    return lost


@pytest.mark.parametrize(("size", "chunk_size"), [(524_288_000, 5_242_880), (65_536_000, 65_536)])
def test_out_of_order_in_parallel_with_failures_and_repetitions(
    tmp_path: Path, server: Server, size: int, chunk_size: int
) -> None:
    film = make_file(tmp_path / "film.mp4", size)
    every_tenth = Fault(path="/chunk?", every=10, drops_answer=True)
    proxy = LimitingProxy("127.0.0.1", server.port, max_body=8 << 20, faults=[every_tenth])
    with proxy.run_in_thread(), Api(proxy.url) as api, ThreadPoolExecutor(4) as pool:
        upload = api.init(size, chunk_size=chunk_size)
        assert upload["total_chunks"] == size // chunk_size
        rng = random.Random(5)
        offsets = list(range(0, size, chunk_size))
        offsets += rng.sample(offsets, len(offsets) // 20)
        rng.shuffle(offsets)
        shares = [
            pool.submit(send, proxy.url, film, upload["upload_id"], offsets[n::4], chunk_size)
            for n in range(4)
        ]
        assert sum(share.result() for share in shares) >= len(offsets) // 10
        assert api.complete(upload["upload_id"]).status_code == 200
    [stored] = (server.data / "files").iterdir()
    assert sha256(stored) == sha256(film)
    assert list((server.data / "temp_chunks").iterdir()) == []
