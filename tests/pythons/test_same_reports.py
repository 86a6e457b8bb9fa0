"""A file gets the same report on every Python, with whatever PyAV and FFmpeg that brings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.pythons.reports import differences, reports

from wherry.testing.video import make_video

ROOT = Path(__file__).parents[2]
#: Sound that ends in the middle of a frame, as each container and codec tells it.
SOUNDS = {
    "mp4": ("aac", "mp3", "ac3", "libopus", "flac"),
    "mov": ("aac", "pcm_s16le"),
    "mkv": ("aac", "mp3", "libopus"),
    "ts": ("aac", "mp3", "ac3"),
    "avi": ("mp3", "pcm_s16le"),
    "flv": ("aac",),
}


def test_two_pythons_give_the_same_reports(tmp_path: Path) -> None:
    for suffix, codecs in SOUNDS.items():
        for codec in codecs:
            make_video(
                tmp_path / f"{codec}.{suffix}",
                seconds=5.206,  # the last frame of AAC is 20.7 ms of padding
                width=128,
                height=72,
                codec=codec,
                black=(1, 2),
                freeze=None,
                silence=(2.5, 4),
            )
    here = reports(tmp_path)
    there = json.loads(
        subprocess.run(
            [os.environ["WHERRY_OTHER_PYTHON"], "-m", "tests.pythons.reports", tmp_path],
            capture_output=True,
            check=True,
            cwd=ROOT,
        ).stdout
    )
    assert list(differences(here, there)) == []
