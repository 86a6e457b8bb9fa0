"""The sound: loudness and its curve, peaks, silence, clipping, silent channels; and a waveform.

Rule 1: the sound is decoded once, and one chain of filters reads it. Of several tracks, the
one that players choose is reported in full, the others in short.

Rule 2: the filters receive one format. Where a file changes its rate or its channels half-way,
the rest is converted to the first format.

FFmpeg draws waveforms too (`showwavespic`), but keeps every sample until the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph

from wherry.assessment.context import Context
from wherry.assessment.loudness import NOTHING, Curve
from wherry.assessment.media import decode, is_playable, length, main_sound, open_media
from wherry.assessment.pictures import waveform
from wherry.assessment.steps.visual import pulled
from wherry.assessment.stretches import Marks, Stretches, finite, no_stretches
from wherry.assessment.timeline import TICK, Timeline, stamp, timeline_of

#: Every channel below -60 dBFS, for a third of a second at least.
SILENCE, SHORTEST_SILENCE = Marks("lavfi.silence_start", "lavfi.silence_end"), 0.33
#: A channel that never gets louder is silent, in dBFS.
SILENT = -60.0
#: Clipped is what reaches full scale in 16 bits, and stays there for two samples on average.
FULL, FLAT = -0.01, 6.0
#: What a low-frequency channel has to say may be nothing.
LOW = frozenset({"LFE", "LFE2"})
#: In fewer seconds there is no range of loudness to speak of.
RANGE_FROM = 10.0

#: How many tracks are listened to.
TRACKS = 8
WIDTH, HEIGHT = 1200, 200
#: How many of the loudest samples are kept for the waveform; pairs are joined beyond.
MOST = 4 * WIDTH


def measure(context: Context) -> dict[str, Any]:
    """Loudness, stretches and channels; draws the waveform. Raises `Unreadable`."""
    heard = find(context.file)
    if heard.peaks:
        picture = waveform(heard.peaks, WIDTH, HEIGHT)
        context.write("waveform.png", picture, kind="waveform", width=WIDTH, height=HEIGHT)
    return heard.facts


@dataclass(frozen=True, slots=True)
class Heard:
    """What was found, and the loudest samples in their order, from 0 to 1."""

    facts: dict[str, Any]
    peaks: list[float] = field(default_factory=list)


def find(file: str) -> Heard:
    """Listen to everything. Raises `Unreadable`."""
    with open_media(file) as container:
        main = main_sound(container)
        if main is None:
            return Heard({"silence": no_stretches(), "others": []})
        others = [s for s in container.streams.audio if s is not main and is_playable(s)]
        streams = [main, *others[: TRACKS - 1]]
        claimed = length(container) or 0.0
        sounds = {s.index: _Sound(timeline_of(container, s), claimed) for s in streams}
        for decoded in decode(container, *streams, threads=1):
            if decoded.packet is not None:
                sound = sounds[decoded.packet.stream.index]
                for frame in decoded.frames:
                    sound.take(frame)
        sound = sounds.pop(main.index)
        summaries = [other.render_shortly(index) for index, other in sounds.items()]
        return Heard({**sound.render(main.index), "others": summaries}, sound.peaks)


@dataclass(slots=True)
class _Sound:
    """The chain of filters, and their results so far."""

    line: Timeline
    claimed: float
    silence: Stretches = field(default_factory=lambda: Stretches(SHORTEST_SILENCE))
    clipping: Stretches = field(default_factory=Stretches)
    loudness: dict[str, float] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    loudest: list[float | None] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    curve: Curve = field(default_factory=Curve)
    _graph: Graph | None = None
    _shape: tuple[str, str, int] = ("", "", 0)
    _same: AudioResampler | None = None
    _join: int = 1
    _joined: list[float] = field(default_factory=list)

    def take(self, frame: AudioFrame) -> None:
        """Listen to the next samples."""
        self.line.take(frame)
        self.silence.not_before = self.clipping.not_before = self.line.start or 0.0
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._graph is None:
            self._shape, self._graph = shape, self._chain(frame)
        for like in self._alike(frame) if shape != self._shape else (frame,):
            stamp(like)
            self._push(self._graph, like)

    def _alike(self, frame: AudioFrame) -> list[AudioFrame]:
        if self._same is None:
            self._same = AudioResampler(*self._shape)
        for _ in range(2):
            try:
                return self._same.resample(frame)
            except ValueError:  # it has changed again
                self._same = AudioResampler(*self._shape)
        # Damage can make a frame of any number of channels, of which FFmpeg does not know how to
        # mix some. They are as good as lost; `integrity` judges the damage.
        return []

    def _chain(self, frame: AudioFrame) -> Graph:
        # Some containers do not say which channel is which.
        names = enumerate((channel.name for channel in frame.layout.channels), 1)
        self.names = [str(number) if name == "NONE" else name for number, name in names]
        self.loudest = [None] * len(self.names)
        graph = Graph()
        graph.threads = 1
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format,
            layout=frame.layout,
            time_base=TICK,
        )
        # As many looks as the waveform is wide, but no more than a hundred, nor less than ten,
        # a second. The file may lie about its length.
        pace = min(max(self.claimed / WIDTH, 0.01), 0.1)
        chain = [
            graph.add("ebur128", "metadata=1:peak=true"),
            graph.add("asetnsamples", f"n={max(int(frame.sample_rate * pace), 1)}:p=0"),
            # Behind those two, which lose what was written to the frames they join.
            graph.add("silencedetect", "n=-60dB:d=0.33"),
            # What goes beyond full scale in a float is cut off where it is played.
            graph.add("aformat", "sample_fmts=s16"),
            graph.add(
                "astats",
                "metadata=1:reset=1:measure_overall=none:measure_perchannel=Peak_level+Flat_factor",
            ),
        ]
        graph.link_nodes(source, *chain, graph.add("abuffersink")).configure()
        return graph

    def _push(self, graph: Graph, frame: AudioFrame | None) -> None:
        graph.push(frame)
        for heard in pulled(graph):
            at = float(heard.pts * heard.time_base)
            self._note(at, heard.metadata)

    def _note(self, at: float, metadata: Mapping[str, str]) -> None:
        """Take what the filters wrote to a stretch of samples."""
        SILENCE.take(metadata, self.silence)
        for name in ("I", "LRA", "true_peak"):
            value = finite(metadata.get(f"lavfi.r128.{name}"))
            if value is not None:
                self.loudness[name] = value
        self.curve.take(at, finite(metadata.get("lavfi.r128.M")))
        loudest, clipped = None, False
        for number in range(len(self.names)):
            level = finite(metadata.get(f"lavfi.astats.{number + 1}.Peak_level"))
            if level is None:
                continue
            flat = finite(metadata.get(f"lavfi.astats.{number + 1}.Flat_factor")) or 0.0
            clipped = clipped or (level >= FULL and flat >= FLAT)
            loudest = level if loudest is None else max(loudest, level)
            known = self.loudest[number]
            self.loudest[number] = level if known is None else max(known, level)
        self.clipping.mark(clipped, at)
        self._keep(0.0 if loudest is None else 10 ** (loudest / 20))

    def _keep(self, peak: float) -> None:
        self._joined.append(peak)
        if len(self._joined) < self._join:
            return
        self.peaks.append(max(self._joined))
        self._joined.clear()
        if len(self.peaks) >= MOST:
            self.peaks = [max(pair) for pair in zip(*[iter(self.peaks)] * 2, strict=True)]
            self._join *= 2

    def render_shortly(self, index: int) -> dict[str, Any]:
        """What there is to know of a track that is not played."""
        self._finish()
        channels = list(self._render_channels())
        silent = all(channel["silent"] for channel in channels)
        return {"stream": index, "loudness": self._render_loudness(), "silent": silent}

    def _finish(self) -> None:
        if self._graph is not None:
            self._push(self._graph, None)

    def render(self, index: int) -> dict[str, Any]:
        """Everything, once there is nothing more to hear."""
        self._finish()
        return {
            "stream": index,
            "loudness": self._render_loudness(),
            "loudness_curve": self.curve.render(),
            "silence": self.silence.render(index, self.line),
            "clipping": self.clipping.render(index, self.line),
            "channels": list(self._render_channels()),
        }

    def _render_loudness(self) -> dict[str, float | None]:
        integrated, peak = self.loudness.get("I", NOTHING), self.loudness.get("true_peak", 0.0)
        audible, is_long = integrated > NOTHING, self.line.length >= RANGE_FROM
        return {
            "integrated": round(integrated, 2) if audible else None,
            "range": round(self.loudness.get("LRA", 0.0), 2) if audible and is_long else None,
            "true_peak": round(20 * math.log10(peak), 2) if peak > 0 else None,
        }

    def _render_channels(self) -> Iterator[dict[str, Any]]:
        for name, level in zip(self.names, self.loudest, strict=True):
            silent = name not in LOW and (level is None or level < SILENT)
            peak = None if level is None else round(level, 2)
            yield {"name": name, "peak": peak, "silent": silent}
