"""The ballast is a help: whatever happens to its file, the thread that writes goes on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from wherry.catalog.sqlite.ballast import BALLAST, Ballast


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "ballast"


def test_who_deletes_it_gets_its_space_and_it_is_made_anew(path: Path) -> None:
    ballast = Ballast(path)
    ballast.fill()
    path.unlink()
    ballast.fill()
    assert path.stat().st_size == BALLAST
    ballast.close()


def test_where_it_cannot_be_made_anew_what_is_open_stays_open(path: Path) -> None:
    ballast = Ballast(path)
    ballast.fill()
    shutil.rmtree(path.parent)
    ballast.fill()
    with (path.parent.parent / "other").open("wb") as other:  # may get a number that was closed
        other.write(b"bytes of somebody else")
        other.flush()
        assert ballast.give_up()
        assert os.fstat(other.fileno()).st_size == 22
    path.parent.mkdir()
    ballast.fill()
    assert path.stat().st_size == BALLAST
    ballast.close()


def test_a_disk_that_refuses_to_free_it_is_an_answer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ballast = Ballast(path)
    ballast.fill()

    def refuse(fd: int, length: int) -> None:
        raise OSError(5, "an I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        assert not ballast.give_up()
    ballast.close()
