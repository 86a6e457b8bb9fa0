"""`python -m release`: builds the packages of a release into dist/, and tries each of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.building import ROOT, Stale, build_npm, build_python, list_components, write_sums
from release.trying import pythons, try_npm, try_wheel

DIST = ROOT / "dist"


def main() -> int:
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    tried = []
    try:
        wheel, package = build_python(DIST), build_npm(DIST)
        with TemporaryDirectory() as name:
            for python in pythons():
                inside = try_wheel(wheel, python, Path(name))
                tried.append(f"Python {python}")
            try_npm(package, Path(name))
            tried.append("npm")
            list_components(inside, DIST)
    except Stale as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"error: this failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        print("hint: dist/ may be incomplete; do not publish it", file=sys.stderr)
        return 1
    write_sums(DIST)
    for path in sorted(DIST.iterdir()):
        print(f"{path.stat().st_size:>10,}  dist/{path.name}")
    print(f"installed and used on {', '.join(tried)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
