"""The real Uppy in Chromium, with Wherry's uploader and with its own for tus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import make_file, sha256
from tests.waiting import wait_until
from tests.web.conftest import STATIC, WEB, node

from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server, serving

MiB = 1 << 20
APPLICATION = """
import Uppy from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import Tus from '@uppy/tus'
import Wherry, { type WherryBody } from './api/uppyWherry'

const seen: [string, ...unknown[]][] = []

export function begin(endpoint: string, options: { limit?: number } = {}): void {
  const uppy = new Uppy<{ course?: string }, WherryBody>({ autoProceed: false })
  uppy.use(Wherry, { endpoint, ...options })
  uppy.on('upload-success', (file, { body }) => seen.push(['arrived', file!.name, body!.upload_id]))
  uppy.on('upload-error', (file, error, response) =>
    seen.push(['failed', file!.name, error.message, response?.status]))
  Object.assign(window, { uppy, seen })
}

export function beginTus(endpoint: string, options: { chunkSize?: number } = {}): void {
  const uppy = new Uppy({ autoProceed: false })
  uppy.use(Dashboard, { target: '#place', inline: true })
  uppy.use(Tus, { endpoint, ...options })
  uppy.on('upload-success', (file, { uploadURL }) => seen.push(['arrived', file!.name, uploadURL]))
  uppy.on('upload-error', (file, error) => seen.push(['failed', file!.name, error.message]))
  Object.assign(window, { uppy, seen })
}
"""
CHOOSE = """
(input) => { for (const file of input.files) uppy.addFile({ name: file.name, data: file }) }
"""
#: What happens to the file when its first bytes have arrived.
AT_FIRST = """
(act) => {
  const first = (file, { bytesUploaded }) => {
    if (!bytesUploaded) return
    uppy.off('upload-progress', first)
    new Function('file', act)(file)
  }
  uppy.on('upload-progress', first)
  window.ended = uppy.upload()
}
"""


@dataclass
class Site:
    """A page with Uppy, in front of a server behind nginx with a limit of 1 MiB."""

    page: Any
    server: Server
    api: str
    code: str

    def begin(self, *files: Path, **options: object) -> None:
        self._open("begin", self.api, files, options)

    def begin_tus(self, *files: Path, **options: object) -> None:
        endpoint = f"{self.api.removesuffix('/api')}/files/"
        self._open("beginTus", endpoint, files, options)

    def _open(self, how: str, endpoint: str, files: Sequence[Path], options: object) -> None:
        self.page.goto(f"{self.api}/chunked-upload/limits")
        self.page.set_content("<input type=file multiple><div id=place></div>")
        self.page.evaluate(
            """async ([code, how, endpoint, options]) => {
              const module = new Blob([code], { type: 'text/javascript' })
              const built = await import(URL.createObjectURL(module))
              built[how](endpoint, options)
            }""",
            [self.code, how, endpoint, options],
        )
        self.page.set_input_files("input", list(files))
        self.page.eval_on_selector("input", CHOOSE)

    def stored(self) -> set[str]:
        return {sha256(path) for path in (self.server.data / "files").iterdir()}

    def unfinished(self) -> list[Path]:
        return list((self.server.data / "temp_chunks").iterdir())


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The application, checked by its types and built."""
    folder = tmp_path_factory.mktemp("uppy")
    (folder / "node_modules").symlink_to(WEB / "node_modules")
    program = folder / "src" / "main.ts"
    (program.parent / "api").mkdir(parents=True)
    program.write_text(APPLICATION)
    for name in ("chunkedUploadApi", "uppyWherry"):
        for ending in ("js", "d.ts"):
            shutil.copy(STATIC / f"{name}.{ending}", program.parent / "api")
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext"]
    options += ["--moduleResolution", "bundler", "--skipLibCheck", "--types", ""]
    checked = node("typescript/bin/tsc", *options, str(program), folder=folder)
    assert checked.returncode == 0, checked.stdout
    (folder / "vite.config.js").write_text(
        "export default { define: { 'process.env.NODE_ENV': '\"production\"' },"
        " build: { lib: { entry: 'src/main.ts', formats: ['es'], fileName: 'built' } } }"
    )
    built = node("vite/bin/vite.js", "build", folder=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    [bundle] = (folder / "dist").iterdir()
    return bundle.read_text()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    require_nginx()
    data = tmp_path_factory.mktemp("uppy") / "data"
    options: dict[str, Any] = {"assessment": False, "max_size": 16 * MiB}
    with serving(data, **options) as server, nginx(server.port, "1m") as ingress:
        yield server, f"{ingress.url}/api"


@pytest.fixture
def site(page: Any, served: tuple[Server, str], code: str) -> Site:
    return Site(page, *served, code)


def test_several_files_arrive_with_the_servers_answer(site: Site, tmp_path: Path) -> None:
    files = [make_file(tmp_path / f"{n}.mp4", (n + 1) * MiB, seed=n) for n in range(3)]
    site.begin(*files, limit=2)
    found = site.page.evaluate("uppy.upload().then(() => seen)")
    assert {(kind, name) for kind, name, _ in found} == {("arrived", file.name) for file in files}
    names = {f"{upload_id}.mp4" for _, _, upload_id in found}
    assert names <= {path.name for path in (site.server.data / "files").iterdir()}
    assert site.stored() >= {sha256(file) for file in files}
    site.page.wait_for_function("uppy.getState().totalProgress === 100")  # Uppy is in no hurry


def test_what_is_paused_goes_on_when_it_is_resumed(site: Site, tmp_path: Path) -> None:
    file = make_file(tmp_path / "paused.mp4", 12 * MiB, seed=10)
    site.begin(file)
    site.page.evaluate(AT_FIRST, "uppy.pauseResume(file.id)")
    site.page.wait_for_function("uppy.getFiles()[0].isPaused")
    assert site.page.evaluate("seen") == []
    site.page.evaluate("uppy.pauseResume(uppy.getFiles()[0].id)")
    site.page.wait_for_function("seen.length")
    assert sha256(file) in site.stored()


def test_what_is_removed_is_cancelled_on_the_server_and_the_others_go_on(
    site: Site, tmp_path: Path
) -> None:
    one, other = (make_file(tmp_path / f"of-{n}.mp4", 8 * MiB, seed=20 + n) for n in range(2))
    site.begin(one, other, limit=1)
    site.page.evaluate(AT_FIRST, "uppy.removeFile(file.id)")
    site.page.evaluate("window.ended")
    assert [name for _, name, _ in site.page.evaluate("seen")] == [other.name]
    wait_until(lambda: site.unfinished() == [])
    assert sha256(other) in site.stored()
    assert sha256(one) not in site.stored()


def test_a_refusal_is_told_with_its_status_and_another_file_arrives(
    site: Site, tmp_path: Path
) -> None:
    large = make_file(tmp_path / "large.mp4", 17 * MiB)
    small = make_file(tmp_path / "small.mp4", MiB, seed=30)
    site.begin(large, small)
    site.page.evaluate("uppy.upload()")
    site.page.wait_for_function("seen.length === 2")
    found = {name: (kind, *more) for kind, name, *more in site.page.evaluate("seen")}
    kind, message, status = found[large.name]
    assert (kind, status) == ("failed", 413)
    assert message.startswith("The file is too large")
    assert found[small.name][0] == "arrived"


def test_the_dashboard_uploads_by_tus_with_a_chunk_size(site: Site, tmp_path: Path) -> None:
    file = make_file(tmp_path / "by-tus.mp4", 5 * MiB + 3, seed=40)
    site.begin_tus(file, chunkSize=512 * 1024)
    site.page.click(".uppy-StatusBar-actionBtn--upload")
    site.page.wait_for_function("seen.length")
    [[kind, name, url]] = site.page.evaluate("seen")
    assert (kind, name) == ("arrived", file.name)
    assert url.startswith(site.api.removesuffix("/api"))
    assert sha256(file) in site.stored()
    site.page.wait_for_selector(".uppy-StatusBar.is-complete")


def test_what_is_paused_in_the_dashboard_goes_on_by_tus(site: Site, tmp_path: Path) -> None:
    file = make_file(tmp_path / "paused-by-tus.mp4", 12 * MiB, seed=41)
    site.begin_tus(file, chunkSize=512 * 1024)
    site.page.evaluate(AT_FIRST, "uppy.pauseResume(file.id)")
    site.page.wait_for_function("uppy.getFiles()[0].isPaused")
    assert site.page.evaluate("seen") == []
    site.page.evaluate("uppy.pauseResume(uppy.getFiles()[0].id)")
    site.page.wait_for_function("seen.length")
    assert sha256(file) in site.stored()


def test_without_a_chunk_size_the_dashboard_shows_that_the_proxy_refuses(
    site: Site, tmp_path: Path
) -> None:
    """The guide says what to do then: Wherry is not asked."""
    file = make_file(tmp_path / "in-one-request.mp4", 2 * MiB, seed=42)
    site.begin_tus(file)
    site.page.evaluate("uppy.upload()")
    site.page.wait_for_function("seen.length")
    [[kind, _, message]] = site.page.evaluate("seen")
    assert (kind, "413" in message) == ("failed", True)
