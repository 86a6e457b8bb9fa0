"""The data folder of an installation, kept as a build has left it, for `test_upgrade.py`.

    python -m tests.release.installation

packs one that this build makes. Do it once for each version, before its release.
"""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cli.command import wherry
from tests.e2e.conftest import Api, make_file, sha256

from wherry import __version__
from wherry.testing.server import serving
from wherry.testing.video import make_video

KEPT = Path(__file__).parent / "kept"
#: The file that is not finished: its size, and the size of its chunks, of which it has the first.
SIZE, CHUNK = 100_000, 65_536
#: Nothing may expire until the folder is used again, in years.
OPTIONS = {"expires_after": 3e8, "min_free": 0, "chunk_size": CHUNK}


def make(folder: Path) -> None:
    """A finished file with its report, one that is not finished, a key, and what is to be found."""
    data = folder / "data"
    key = wherry("keys", "add", "ann", "--data", data).stdout.split()[-1]
    film = make_video(folder / "film.mp4", seconds=1, width=64, height=48)
    part = make_file(folder / "part.mp4", SIZE).read_bytes()
    with serving(data, **OPTIONS) as server, Api(server.url, key) as api:
        finished = api.init(film.stat().st_size)["upload_id"]
        for at in range(0, film.stat().st_size, CHUNK):
            assert api.chunk(finished, at, film.read_bytes()[at : at + CHUNK]).is_success
        assessment = f"/assessments/{api.complete(finished).json()['assessment_id']}"
        while (report := api.http.get(assessment).json())["state"] not in ("done", "failed"):
            time.sleep(0.1)
        unfinished = api.init(SIZE)["upload_id"]
        assert api.chunk(unfinished, 0, part[:CHUNK]).is_success
        facts = {
            "key": key,
            "status": api.status(finished),
            "sha256": sha256(film),
            "assessment": assessment,
            "report": report,
            "unfinished": unfinished,
        }
    (data / "facts.json").write_text(json.dumps(facts))


def pack(folder: Path) -> Path:
    """The archive of the data folder, without the ballast, which is random bytes."""
    KEPT.mkdir(exist_ok=True)
    archive = KEPT / f"{__version__}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted((folder / "data").rglob("*")):
            if not path.name.endswith("-ballast"):
                tar.add(path, path.relative_to(folder), recursive=False)
    return archive


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        make(Path(name))
        print(pack(Path(name)))  # noqa: T201
