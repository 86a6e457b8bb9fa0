"""The React hook as `wherry js --react` prints it: checked, built and used by an application."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import make_file, sha256
from tests.web.conftest import WEB, Script, node

from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import serving

MiB = 1 << 20
APPLICATION = """\
import { createRoot } from 'react-dom/client'
import { defaults, UploadFailure } from './api/chunkedUploadApi'
import { useUpload } from './api/useUpload'

function Upload() {
  const upload = useUpload({ metadata: { course: '7' } })
  return (
    <>
      <input
        type="file"
        onChange={(event) => event.target.files?.[0] && upload.start(event.target.files[0])}
      />
      <progress max={100} value={upload.percent} />
      <p id="result">{upload.result?.upload_id}</p>
      <p id="failure">{upload.failure instanceof UploadFailure ? upload.failure.code : ''}</p>
    </>
  )
}

export function show(place: HTMLElement, endpoint: string) {
  defaults.endpoint = endpoint
  createRoot(place).render(<Upload />)
}
"""


def printed(*options: str) -> bytes:
    command = [sys.executable, "-m", "wherry", "js", *options]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def application(script: Script, tmp_path: Path) -> Path:
    """A folder with the application and what the command prints."""
    script("types")
    api = tmp_path / "src" / "api"
    api.mkdir(parents=True)
    (tmp_path / "src" / "Upload.tsx").write_text(APPLICATION)
    for name, options in (
        ("chunkedUploadApi.js", []),
        ("chunkedUploadApi.d.ts", ["--types"]),
        ("useUpload.js", ["--react"]),
        ("useUpload.d.ts", ["--react", "--types"]),
    ):
        (api / name).write_bytes(printed(*options))
    (tmp_path / "node_modules").symlink_to(WEB / "node_modules")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("", "", None),
        ("course: '7'", "course: 7", "TS2322"),
        ("upload.percent", "upload.percentage", "TS2551"),
    ],
)
def test_a_strict_program_is_checked_by_its_types(
    application: Path, old: str, new: str, complaint: str | None
) -> None:
    program = application / "src" / "Upload.tsx"
    program.write_text(APPLICATION.replace(old, new) if old else APPLICATION)
    options = ["--noEmit", "--strict", "--jsx", "react-jsx", "--target", "es2022"]
    options += ["--module", "esnext", "--moduleResolution", "bundler", "--types", "react"]
    done = node("typescript/bin/tsc", *options, str(program), folder=application)
    assert (done.returncode == 0) is (complaint is None), done.stdout
    assert complaint is None or complaint in done.stdout


def test_an_application_is_built_with_it_and_uploads_a_large_file(
    application: Path, page: Any
) -> None:
    require_nginx()
    (application / "vite.config.js").write_text(
        "export default { define: { 'process.env.NODE_ENV': '\"production\"' },"
        " build: { lib: { entry: 'src/Upload.tsx', formats: ['es'], fileName: 'built' } } }"
    )
    built = node("vite/bin/vite.js", "build", folder=application)
    assert built.returncode == 0, built.stdout + built.stderr
    [bundle] = (application / "dist").iterdir()
    film = make_file(application / "film.mp4", 5 * MiB)
    data = application / "data"
    with serving(data, assessment=False) as server, nginx(server.port, "1m") as ingress:
        page.goto(f"{ingress.url}/healthz")
        page.evaluate(
            """async ([code, endpoint]) => {
              const place = document.body.appendChild(document.createElement('main'))
              const module = new Blob([code], { type: 'text/javascript' })
              const { show } = await import(URL.createObjectURL(module))
              show(place, endpoint)
            }""",
            [bundle.read_text(), f"{ingress.url}/api"],
        )
        page.set_input_files("main input", film)
        page.wait_for_function("document.querySelector('#result').textContent")
        assert page.locator("main progress").get_attribute("value") == "100"
        assert page.locator("#failure").inner_text() == ""
        assert [sha256(path) for path in (data / "files").iterdir()] == [sha256(film)]
