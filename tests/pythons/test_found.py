"""The Pythons at both ends are tried, wherever they were installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.pythons.found import Python, ask, candidates, to_try


def python(*version: int) -> Python:
    return Python(version, Path("python"))


@pytest.mark.parametrize(
    ("found", "own", "tried"),
    [
        ([(3, 11, 7), (3, 12, 1), (3, 13, 0)], (3, 11, 7), [(3, 13, 0)]),
        ([(3, 11, 7), (3, 12, 1), (3, 13, 0)], (3, 12, 1), [(3, 11, 7), (3, 13, 0)]),
        ([(3, 11, 7), (3, 13, 0), (3, 13, 4)], (3, 13, 0), [(3, 11, 7)]),
        ([(3, 14, 1), (3, 9 + 2, 0)], (3, 11, 0), [(3, 14, 1)]),
        ([(3, 11, 7), (3, 11, 2)], (3, 11, 7), []),
        ([], (3, 11, 7), []),
    ],
)
def test_the_oldest_and_the_newest_are_tried_beside_our_own(
    found: list[tuple[int, ...]], own: tuple[int, ...], tried: list[tuple[int, ...]]
) -> None:
    assert [p.version for p in to_try([python(*v) for v in found], own)] == tried


def test_pythons_of_pyenv_are_found_without_its_shims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "nothing"))
    there = tmp_path / "versions" / "3.13.0" / "bin"
    there.mkdir(parents=True)
    for name in ("python3.13", "python3.13-config", "pip"):
        (there / name).touch()
    assert candidates() == [there / "python3.13"]


def test_what_does_not_run_or_is_too_old_is_no_python(tmp_path: Path) -> None:
    own = ask(Path(sys.executable))
    assert own is not None
    assert own.version == sys.version_info[:3]
    old = tmp_path / "python3.8"
    old.write_text("#!/bin/sh\necho 3 8 18\n")
    old.chmod(0o755)
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho not installed >&2\nexit 127\n")
    shim.chmod(0o755)
    assert [ask(path) for path in (old, shim, tmp_path / "gone")] == [None] * 3
