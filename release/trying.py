"""Installs what was built into empty folders, and uses it.

Rule 1: nothing of the repository is used: what the packages need comes from the registries.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.pythons.found import Python, ask, candidates

from release.building import WEB, npm, run
from wherry import __version__

#: An application's use of the npm package, for tsc and for Node.
_PROGRAM = """\
import { createUpload, smartUpload, uploadVideoChunked, type UploadDetails } from 'wherry-upload'
import type { WherryEvent } from 'wherry-upload/element'
import { useUpload } from 'wherry-upload/react'
import Wherry from 'wherry-upload/uppy'

const show = (percent: number, details: UploadDetails): void => console.log(percent, details)
export const send = (file: Blob) => uploadVideoChunked(file, show)
export const tell = ({ file, result }: WherryEvent) => console.log(file.name, result?.upload_id)
for (const each of [createUpload, smartUpload, uploadVideoChunked, useUpload, Wherry]) {
  if (typeof each !== 'function') throw new Error('an export is missing')
}
"""
#: Uppy's types name `Symbol.dispose`.
_LIB = ["es2023", "esnext.disposable", "dom"]
_STRICT = {"strict": True, "module": "nodenext", "target": "es2023", "lib": _LIB}
#: Which of our own packages an application with React, Uppy and TypeScript has, too.
_BESIDE = ("react", "@types/react", "@uppy/core", "typescript")


def pythons() -> list[Python]:
    """One interpreter for each release of Python on this machine, the oldest release first."""
    found = [python for path in candidates() if (python := ask(path))]
    newest = {each.release: each for each in sorted(found, key=lambda python: python.version)}
    return list(newest.values())


def try_wheel(wheel: Path, python: Python, folder: Path) -> Path:
    """Install it with everything and run the demo; its interpreter. Raises `CalledProcessError`."""
    environment = folder / f"python-{python}"
    run(python.path, "-m", "venv", environment)
    inside = environment / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", f"{wheel}[assessment,postgres,s3]")
    wherry = environment / "bin" / "wherry"
    told = subprocess.run([wherry, "--version"], capture_output=True, text=True, check=True).stdout
    if told.split() != ["wherry", __version__]:
        raise ValueError(f"wherry --version prints {told!r}, and not {__version__}")
    run(wherry, "demo", cwd=environment)
    return inside


def try_npm(package: Path, folder: Path) -> None:
    """Install it beside React and Uppy, check the types of a program, and run it.

    Raises `CalledProcessError`.
    """
    place = folder / "npm"
    place.mkdir()
    beside = json.loads((WEB / "package.json").read_text())["devDependencies"]
    wanted = {name: beside[name] for name in _BESIDE} | {"wherry-upload": f"file:{package}"}
    use = {"use": "tsc --project . && node program.js"}
    facts = {"private": True, "type": "module", "scripts": use, "dependencies": wanted}
    (place / "package.json").write_text(json.dumps(facts))
    (place / "program.ts").write_text(_PROGRAM)
    (place / "tsconfig.json").write_text(json.dumps({"compilerOptions": _STRICT}))
    there = ("--prefix", place)
    npm("install", *there, "--no-audit", "--no-fund", "--loglevel=error")
    npm("run", *there, "use")
