"""Sound ends where its track does, not where an encoder's last frame happens to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assessment.conftest import look

from wherry.testing.video import make_video

#: Its last frame of AAC, and of Opus, is mostly padding.
SECONDS = 3.203


@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_padding_in_the_last_frame_is_no_sound(codec: str, tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "sound.mp4", seconds=SECONDS, codec=codec, video=False, silence=(3.0, SECONDS)
    )
    found = look("integrity", path, tmp_path)
    assert found["decoded_seconds"] == pytest.approx(SECONDS, abs=0.001)
    assert found["streams"][0]["end"] == pytest.approx(SECONDS, abs=0.001)


def test_sound_that_says_nothing_of_its_end_is_heard_to_the_last_sample(tmp_path: Path) -> None:
    path = make_video(tmp_path / "sound.mkv", seconds=SECONDS, video=False, silence=None)
    found = look("integrity", path, tmp_path)
    # 151 frames of 1024 samples.
    assert found["decoded_seconds"] == pytest.approx(151 * 1024 / 48_000, abs=0.002)
