"""What is seen, heard and drawn does not depend on the number of processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import look

from wherry.assessment import media
from wherry.testing.video import flip_bits, make_video, zero_block


@pytest.mark.parametrize("harm", ["none", "block", "bits"])
def test_steps_find_and_draw_the_same_on_any_number_of_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    path = make_video(
        tmp_path / "a.mp4",
        seconds=6,
        width=320,
        height=180,
        black=(1, 2),
        freeze=(3, 4),
        silence=(4, 5),
    )
    if harm == "block":
        zero_block(path, 0.5, length=3000)
    elif harm == "bits":
        flip_bits(path)
    told: list[Any] = []
    for threads in (1, 2, 4, 8):
        monkeypatch.setattr(media, "THREADS", threads)
        facts = [look(step, path, tmp_path) for step in ("visual", "audio", "poster")]
        drawn = {file.name: file.read_bytes() for file in tmp_path.glob("*.[jpv][pnt][gt]")}
        assert len(drawn) == 5
        told.append((facts, drawn))
    assert all(each == told[0] for each in told)
