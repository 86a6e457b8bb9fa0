"""Makes the files of a release in one folder.

Rule 1: the npm package carries the same files as the wheel, or none is made.
Rule 2: the version comes from src/wherry/__init__.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.version import npm_version
from wherry import __version__

ROOT = Path(__file__).parents[1]
WEB, STATIC = ROOT / "web", ROOT / "src" / "wherry" / "static"
#: Of package.json, what only this repository needs.
_OURS = ("private", "scripts", "devDependencies")
#: What the npm package and the wheel carry.
SHARED = tuple(
    f"{name}.{ending}"
    for name in ("chunkedUploadApi", "useUpload", "wherryUpload", "uppyWherry")
    for ending in ("js", "d.ts")
)


class Stale(Exception):
    """A checked-in file differs from what the sources make."""


def build_python(folder: Path) -> Path:
    """Make the sdist, and the wheel from it; the wheel. Raises `CalledProcessError`."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel


def build_npm(folder: Path) -> Path:
    """Make the npm package. Raises `CalledProcessError`, `Stale`."""
    for made in ("build:files", "build:types"):
        npm("run", made, "--", "dist")
    for name in SHARED:
        if (WEB / "dist" / name).read_bytes() != (STATIC / name).read_bytes():
            raise Stale(f"src/wherry/static/{name} is not what web/src makes; run make web")
    with TemporaryDirectory() as folder_name:
        staged = Path(folder_name) / "package"
        (staged / "dist").mkdir(parents=True)
        for name in SHARED:
            shutil.copy(WEB / "dist" / name, staged / "dist")
        shutil.copy(WEB / "README.md", staged)
        shutil.copy(ROOT / "LICENSE", staged)
        facts = json.loads((WEB / "package.json").read_text())
        facts = {key: value for key, value in facts.items() if key not in _OURS}
        facts["version"] = npm_version(__version__)
        (staged / "package.json").write_text(json.dumps(facts, indent=2) + "\n")
        npm("pack", staged, "--pack-destination", folder)
    [package] = folder.glob("*.tgz")
    return package


def list_components(python: Path, folder: Path) -> Path:
    """Write the SBOM (CycloneDX) of what is installed for this interpreter."""
    made = folder / f"wherry-{__version__}.cdx.json"
    run(
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"),
        *("--pyproject", ROOT / "pyproject.toml", "--output-file", made, python),
    )
    return made


def write_sums(folder: Path) -> Path:
    """Write the SHA-256 of each file, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(lines))
    return sums


def npm(*words: str | Path) -> None:
    """Run npm in web/. Raises `CalledProcessError`."""
    run(sys.executable, WEB / "npm.py", *words)


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Raises `CalledProcessError`."""
    subprocess.run(command, check=True, cwd=cwd)
