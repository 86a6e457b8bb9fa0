"""How long a good video takes when its end is sent second and its early verdict is asked for.

    .venv/bin/python -m bench.early_verdict

Both orders take turns, with the same file, server and machine; so their ratio says more than each.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from wherry.client import Client, EarlyVerdict, Progress, UploadStatus
from wherry.client.wire import Wire
from wherry.testing.server import serving
from wherry.testing.video import make_video

MiB = 1 << 20
LENGTH = 128 * MiB


def grown(path: Path) -> Path:
    """The box of the media is longer by zeros, so that the file is large and made at once."""
    data = path.read_bytes()
    begin = data.index(b"mdat") - 4
    size = int.from_bytes(data[begin : begin + 4], "big")
    more = LENGTH - len(data)
    head, media = data[:begin], data[begin + 4 : begin + size]
    path.write_bytes(
        head + (size + more).to_bytes(4, "big") + media + bytes(more) + data[begin + size :]
    )
    return path


#: What an upload does, in three ways.
PLAIN, END_SECOND, ASKS = "front to back", "end second", "end second, and asks"


def seconds(url: str, path: Path, way: str, rate: int | None) -> tuple[float, int | None]:
    """How long an upload takes, and how many bytes were safe when its verdict was told."""
    told: list[int] = []
    safe = [0]
    init = Wire.init

    async def plain(wire: Wire, facts: Mapping[str, Any]) -> UploadStatus:
        return replace(await init(wire, facts), tail=None)

    def progress(now: Progress) -> None:
        safe[0] = now.bytes_safe

    def tell(early: EarlyVerdict) -> None:
        told.append(safe[0])

    asks = tell if way == ASKS else None
    with (
        Client(url, rate=rate) as client,
        patch.object(Wire, "init", plain if way == PLAIN else init),
    ):
        began = time.monotonic()
        client.upload(path, on_progress=progress, on_early=asks)
        return time.monotonic() - began, told[0] if told else None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--rate", type=int, help="of the line, in bytes a second")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = grown(make_video(Path(folder) / "good.mp4", seconds=2, width=160, height=90))
        with serving(Path(folder) / "data") as server:
            url = f"{server.url}/api"
            seconds(url, path, PLAIN, None)  # what passes is known from here on
            times: dict[str, list[float]] = {PLAIN: [], END_SECOND: [], ASKS: []}
            for number in range(given.rounds):
                ways = list(times)
                for way in ways[number % 3 :] + ways[: number % 3]:
                    took, told = seconds(url, path, way, given.rate)
                    times[way].append(took)
                    print(
                        f"{way}: {took:.2f} s",
                        "" if told is None else f"told at {told / LENGTH:.1%}",
                        flush=True,
                    )
            for way in (END_SECOND, ASKS):
                pairs = [new / old for new, old in zip(times[way], times[PLAIN], strict=True)]
                print(f"{way}: {statistics.median(pairs):.3f} of the time of {PLAIN}, median")


if __name__ == "__main__":
    main()
