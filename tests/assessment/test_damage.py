"""Damage of every kind is found, wherever it lies; a file that came whole has none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import Assess, codes

from wherry.testing.video import (
    flip_bits,
    make_video,
    somewhere,
    swap_blocks,
    truncate,
    zero_block,
)

LENGTH = 6.0
KiB = 1024

Damage = Callable[[Path, int], object]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(
        tmp_path_factory.mktemp("whole") / "whole.mp4",
        seconds=LENGTH,
        width=320,
        height=180,
        black=None,
        freeze=None,
        silence=None,
    )


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Callable[[Damage, int], Path]:
    def damaged(damage: Damage, seed: int) -> Path:
        path = Path(shutil.copy(whole, tmp_path / "damaged.mp4"))
        damage(path, seed)
        assert path.read_bytes() != whole.read_bytes()
        return path

    return damaged


def zeroed(path: Path, seed: int) -> None:
    zero_block(path, somewhere(path, seed, 64 * KiB), 64 * KiB)


def swapped(path: Path, seed: int) -> None:
    swap_blocks(path, somewhere(path, seed, 96 * KiB), 32 * KiB)


def flipped(path: Path, seed: int) -> None:
    flip_bits(path, 20, seed)


def one_flipped(path: Path, seed: int) -> None:
    flip_bits(path, 1, seed)


def errors(report: dict[str, Any]) -> dict[str, Any] | None:
    found = [f for f in report["findings"] if f["code"] == "INT-ERRORS"]
    return found[0] if found else None


def test_a_whole_file_has_no_finding(assess_here: Assess, whole: Path) -> None:
    report = assess_here(whole)
    assert (report["verdict"], report["findings"]) == ("pass", [])


def test_a_file_cut_off_at_sixty_percent_cannot_be_read(
    assess_here: Assess, whole: Path, tmp_path: Path
) -> None:
    path = truncate(Path(shutil.copy(whole, tmp_path / "cut.mp4")), 0.6)
    report = assess_here(path)
    assert codes(report, "fail") == ["FILE-UNREADABLE"]
    assert "index is missing" in report["findings"][0]["message"]


@pytest.mark.parametrize("seed", range(8))
def test_two_swapped_blocks_are_found_where_they_begin(
    assess_here: Assess, damaged: Callable[[Damage, int], Path], whole: Path, seed: int
) -> None:
    report = assess_here(damaged(swapped, seed))
    found = errors(report)
    assert found is not None
    assert (found["severity"], report["verdict"]) == ("fail", "fail")
    # The bit rate is constant, and so time goes with the place in the file.
    begins = somewhere(whole, seed, 96 * KiB) * LENGTH
    assert found["start"] == pytest.approx(begins, abs=1.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_block_of_zeros_is_found_where_it_begins(
    assess_here: Assess, damaged: Callable[[Damage, int], Path], whole: Path, seed: int
) -> None:
    found = errors(assess_here(damaged(zeroed, seed)))
    assert found is not None
    assert found["severity"] == "fail"
    begins = somewhere(whole, seed, 64 * KiB) * LENGTH
    assert found["start"] == pytest.approx(begins, abs=1.0)


@pytest.mark.parametrize("seed", range(4))
def test_twenty_flipped_bits_are_found(
    assess_here: Assess, damaged: Callable[[Damage, int], Path], seed: int
) -> None:
    found = errors(assess_here(damaged(flipped, seed)))
    assert found is not None
    assert (found["severity"], found["threshold"]) == ("fail", 0)
    assert found["start"] is not None


def test_one_flipped_bit_is_found_where_a_decoder_can_know(
    assess_here: Assess, damaged: Callable[[Damage, int], Path]
) -> None:
    found = [errors(assess_here(damaged(one_flipped, seed))) for seed in range(12)]
    # Many a flipped bit makes another picture that is as good. The digest knows of each. How many
    # do is different for each file, and the encoder, which uses several threads, makes another
    # file now and then.
    noticed = [finding for finding in found if finding is not None]
    assert noticed
    for finding in noticed:
        assert (finding["severity"], finding["value"] >= 1) == ("fail", True)
        assert 0 <= finding["start"] <= LENGTH
