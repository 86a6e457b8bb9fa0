"""The contact sheet and the storyboard.

Rule 1: which pictures are kept is decided while they arrive, because the declared length may
be wrong. Their number is bounded for any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from av.video.frame import VideoFrame

from wherry.assessment.context import Context
from wherry.assessment.media import seconds
from wherry.assessment.pictures import fit, jpeg, lay, shape

#: Every second one is dropped when there are more, so at least half as many are kept.
MOST = 120
#: How far apart the first pictures are, in seconds.
FIRST_PACE = 0.25
#: Pictures of a storyboard are at least this far apart, in seconds.
STORY_PACE = 1.0

TILES, COLUMNS, TILE = 12, 4, 320
STORY_COLUMNS, STORY_TILE = 10, 160


@dataclass(slots=True)
class Samples:
    """Pictures at even distances, with the seconds they are shown at."""

    kept: list[tuple[float, VideoFrame]] = field(default_factory=list)
    _pace: float = FIRST_PACE
    _slot: int = -1

    def take(self, at: float, picture: VideoFrame) -> None:
        """Keep it, if it is the first one of its stretch of time."""
        first = self.kept[0][0] if self.kept else at
        slot = int((at - first) / self._pace + 1e-6)
        if slot <= self._slot:
            return
        self._slot = slot
        self.kept.append((at, picture))
        if len(self.kept) > MOST:
            del self.kept[1::2]
            self._pace *= 2
            self._slot = slot // 2


def write_sheets(
    context: Context, samples: Samples, size: tuple[float, float], rotation: int, end: float
) -> None:
    """Draw both from what was kept of a video that lasts `end` seconds.

    `size` is the shape in which a player shows the picture before turning it by `rotation`.
    """
    if not samples.kept:
        return
    count = min(TILES, len(samples.kept))
    # The middle of each twelfth: the first and the last picture are often black.
    chosen = [samples.kept[(2 * i + 1) * len(samples.kept) // (2 * count)] for i in range(count)]
    tiles = [shape(picture, fit(*size, TILE)) for _, picture in chosen]
    sheet = lay(tiles, rotation, min(COLUMNS, count))
    width, height = sheet.width, sheet.height
    context.write("contact.jpg", jpeg(sheet), kind="contact-sheet", width=width, height=height)
    _write_storyboard(context, samples, fit(*size, STORY_TILE), rotation, end)


def _write_storyboard(
    context: Context, samples: Samples, tile: tuple[int, int], rotation: int, end: float
) -> None:
    chosen = list(_apart(samples.kept))
    columns = min(STORY_COLUMNS, len(chosen))
    sprite = lay([shape(picture, tile) for _, picture in chosen], rotation, columns)
    width, height = tile if rotation % 180 == 0 else tile[::-1]
    times = [time for time, _ in chosen]
    vtt = render_vtt(times, end, "storyboard.jpg", (width, height), columns)
    sides = sprite.width, sprite.height
    context.write(
        "storyboard.jpg", jpeg(sprite), kind="storyboard", width=sides[0], height=sides[1]
    )
    # The size of one picture: what a page makes room for.
    context.write(
        "storyboard.vtt", vtt.encode(), kind="storyboard-index", width=width, height=height
    )


def _apart(kept: list[tuple[float, VideoFrame]]) -> Iterator[tuple[float, VideoFrame]]:
    last = None
    for time, picture in kept:
        if last is None or time - last >= STORY_PACE - 0.01:
            last = time
            yield time, picture


def render_vtt(
    times: list[float], end: float, sprite: str, tile: tuple[int, int], columns: int
) -> str:
    """WebVTT whose cues name a part of the sprite each, as Media Fragments do: `#xywh=`.

    The first cue begins at zero, each lasts until the next, the last until `end`.
    """
    begins = [0.0, *times[1:], max(end, times[-1] + 0.001)]
    cues = ["WEBVTT\n"]
    for number in range(len(times)):
        x, y = number % columns * tile[0], number // columns * tile[1]
        span = f"{_stamp(begins[number])} --> {_stamp(begins[number + 1])}"
        cues.append(f"{span}\n{sprite}#xywh={x},{y},{tile[0]},{tile[1]}\n")
    return "\n".join(cues)


def _stamp(time: float) -> str:
    total = round((seconds(time) or 0.0) * 1000)
    minutes, thousandths = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{thousandths // 1000:02}.{thousandths % 1000:03}"
