#!/usr/bin/env bash
# FFmpeg's freezedetect writes freeze_start and freeze_end to one and the same frame.
#
# Version    PyAV 18.1.0 (FFmpeg 8.1.2, libavfilter 11.14), Python 3.11 or newer
# Input      five different pictures, one a second; freezedetect with its default of 2 s set to 0.5 s
# Expected   the start and the end on two frames, or neither: no picture is repeated
# Seen       each picture from the second one on carries freeze_start, freeze_duration and
#            freeze_end together: the *previous* picture was shown for a second, which the filter
#            only knows now. Code that takes the end for that of an earlier freeze, and the start
#            for one that still lasts, reports freezes that overlap, and one that never ends.
#            A pause in a recording without repeated pictures looks the same.
#
# Exits with 1 if this is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0
"$folder/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

graph = Graph()
source = graph.add_buffer(
    width=64, height=48, format=VideoFormat("gray"), time_base=Fraction(1, 1)
)
detect = graph.add("freezedetect", "n=0.001:d=0.5")
graph.link_nodes(source, detect, graph.add("buffersink")).configure()
seen = []
for second, grey in enumerate((20, 200, 60, 160, 100)):
    frame = VideoFrame(64, 48, "gray")
    frame.planes[0].update(bytes([grey]) * frame.planes[0].buffer_size)
    frame.pts, frame.time_base = second, Fraction(1, 1)
    graph.push(frame)
    marks = graph.pull().metadata
    metadata = {name.rpartition("_")[2]: float(value) for name, value in marks.items()}
    print(second, metadata)
    seen.append(metadata)
together = [{"start": n - 1.0, "duration": 1.0, "end": float(n)} for n in range(1, 5)]
sys.exit(seen != [{}, *together])
P
