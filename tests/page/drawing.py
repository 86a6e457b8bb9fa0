"""Pictures as an assessment makes them, drawn by the browser: the same each time, and small."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.assessment.sheets import render_vtt
from wherry.testing.video import make_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTH, HEIGHT = 1280, 720
SECONDS = 20
#: What the report in `scenes` finds, in seconds.
BLACK, SILENCE = (5, 7), (14, 17)


def frame(time: float) -> str:
    """A boat on a river, `time` seconds into the video, as the inside of an SVG."""
    if BLACK[0] <= time < BLACK[1]:
        return f'<rect width="{WIDTH}" height="{HEIGHT}"/>'
    at = 100 + 40 * time
    return f"""
      <rect width="{WIDTH}" height="{HEIGHT}" fill="#f6d9a8"/>
      <circle cx="{1050 - 12 * time}" cy="210" r="80" fill="#f4a35f"/>
      <path d="M0 430 L260 250 L470 400 L720 220 L980 410 L1280 290 V720 H0 Z" fill="#7d92a8"/>
      <rect y="430" width="{WIDTH}" height="290" fill="#2f6f8f"/>
      <path d="M0 520 H380 M520 570 H1280 M120 640 H760" stroke="#5f9dba" stroke-width="8"/>
      <g transform="translate({at} 400)">
        <rect x="60" y="20" width="70" height="60" fill="#b4522d"/>
        <rect x="140" y="20" width="70" height="60" fill="#e0b04c"/>
        <rect x="220" y="20" width="70" height="60" fill="#b4522d"/>
        <path d="M0 85 H350 L300 170 H50 Z" fill="#1d3340"/>
      </g>"""


def poster() -> tuple[str, int, int]:
    return frame(8), WIDTH, HEIGHT


def contact_sheet() -> tuple[str, int, int]:
    """Four by three frames from the whole video."""
    frames = [
        f'<svg x="{index % 4 * 320}" y="{index // 4 * 180}" width="320" height="180"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}">{frame((index + 0.5) * SECONDS / 12)}</svg>'
        for index in range(12)
    ]
    return "".join(frames), 1280, 540


def waveform() -> tuple[str, int, int]:
    """Speech, as far as a few sines can talk, with a silence in it."""
    bars = []
    for x in range(0, 1200, 3):
        time = x / 1200 * SECONDS
        loud = abs(math.sin(1.7 * time) * math.sin(9.1 * time)) * (0.6 + 0.4 * math.sin(31 * time))
        tall = 1 if SILENCE[0] <= time < SILENCE[1] else 4 + 86 * loud
        bars.append(f"M{x + 1} {100 - tall:.1f} V{100 + tall:.1f}")
    return f'<path d="{" ".join(bars)}" stroke="#4a86b8" stroke-width="2"/>', 1200, 200


def storyboard() -> tuple[str, int, int]:
    """A picture of each second, in rows of ten."""
    frames = [
        f'<svg x="{index % 10 * 160}" y="{index // 10 * 90}" width="160" height="90"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}">{frame(index)}</svg>'
        for index in range(SECONDS)
    ]
    return "".join(frames), 1600, 180


PICTURES = {
    "poster.jpg": poster,
    "contact.jpg": contact_sheet,
    "storyboard.jpg": storyboard,
    "waveform.png": waveform,
}


def draw(browser: Browser, folder: Path) -> Path:
    """Draw all of them into `folder`, and the film `film.mp4`."""
    page = browser.new_page()
    for name, picture in PICTURES.items():
        inside, width, height = picture()
        page.set_viewport_size({"width": width, "height": height})
        page.set_content(
            f'<body style="margin:0"><svg style="display:block" width="{width}" height="{height}">'
            f"{inside}</svg>"
        )
        page.screenshot(path=folder / name, omit_background=name.endswith(".png"))
    page.close()
    cues = render_vtt([*range(SECONDS)], SECONDS, "storyboard.jpg", (160, 90), 10)
    (folder / "storyboard.vtt").write_text(cues)
    make_video(folder / "film.mp4", seconds=SECONDS, width=160, height=90, faststart=True)
    return folder
