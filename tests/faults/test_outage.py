"""Time in which no server runs counts against nobody: with real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api

from wherry.testing.server import serving

CHUNK = 64 << 10
#: Three seconds of an outage count, and a busy machine needs some for the first request after it.
PROMISED = 12.0
SHORT = {
    "turn": PROMISED,
    "slot_idle": PROMISED,
    "expires_after": PROMISED,
    "sweep_every": 0.5,
    "max_open": 1,
}
#: Longer than a turn and the expiry that would follow it.
AWAY = 2 * PROMISED + 1
TIMEOUT = 120.0


@pytest.mark.slow
def test_uploads_outlive_an_outage_longer_than_all_their_deadlines(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, assessment=False, **SHORT) as server:
        with Api(server.url) as api:
            mine = api.init(2 * CHUNK)["upload_id"]
            others = api.init(2 * CHUNK)["upload_id"]
        server.kill()
        begun = time.monotonic()
        sweep = [sys.executable, "-m", "wherry", "sweep", "--data", str(data)]
        sweep += ["--expires-after", str(PROMISED)]
        subprocess.run(sweep, check=True, capture_output=True)
        time.sleep(max(AWAY - (time.monotonic() - begun), 0))  # the outage itself
        subprocess.run(sweep, check=True, capture_output=True)
        server.start()
        with Api(server.url) as api:
            assert api.status(mine)["state"] == "receiving"
            assert api.chunk(mine, 0, b"x" * CHUNK).status_code == httpx2.codes.OK
            assert api.status(others)["state"] == "waiting"
            # While somebody is there to be asked, all of it goes on.
            end = time.monotonic() + TIMEOUT
            while api.status(mine)["state"] != "expired":
                assert time.monotonic() < end
                time.sleep(0.2)
