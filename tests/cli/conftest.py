"""A server that has something to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.e2e.conftest import Api

from wherry.auth import Keys, keys_file
from wherry.testing.server import Server, serving

MiB = 1 << 20
HOUR = 3600


@dataclass(frozen=True)
class Watched:
    """A server with an upload of 4 MiB, of which 1 MiB is there, and one in the queue."""

    server: Server
    alice: str
    boss: str

    @property
    def url(self) -> str:
        return f"{self.server.url}/api"

    @property
    def as_boss(self) -> dict[str, str]:
        return {"WHERRY_API_KEY": self.boss}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    data = tmp_path_factory.mktemp("top") / "data"
    keys = Keys(keys_file(data))
    alice, boss = keys.add("alice"), keys.add("boss", operator=True)
    # The first upload stays open, however long the tests take.
    with serving(data, assessment=False, max_open=1, slot_idle=HOUR) as server:
        with Api(server.url, alice) as api:
            first = api.init(4 * MiB, filename="film.mp4")["upload_id"]
            assert api.chunk(first, 0, b"x" * MiB).is_success
            assert api.init(2 * MiB, filename="next.mp4")["state"] == "waiting"
            given_up = api.init(MiB, filename="given-up.mp4")["upload_id"]
            api.http.post("/chunked-upload/cancel", json={"upload_id": given_up})
        yield Watched(server, alice, boss)
