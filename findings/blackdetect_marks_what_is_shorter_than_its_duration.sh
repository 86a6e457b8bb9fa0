#!/usr/bin/env bash
# FFmpeg's blackdetect marks frames for black that is shorter than its minimum duration `d`.
#
# Version    PyAV 18.1.0 (FFmpeg 8.1.2, libavfilter 11.14), Python 3.11 or newer
# Input      grey pictures at 25 a second with one black picture (0.04 s) among them;
#            blackdetect with d=2: "minimum detected black duration expressed in seconds"
# Expected   no metadata: 0.04 s is less than 2 s, and the filter logs nothing
# Seen       lavfi.black_start on the black picture, lavfi.black_end on the next one: `d` applies
#            to what the filter logs, not to what it writes to the frames. (freezedetect and
#            silencedetect apply theirs to both.)
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
    width=64, height=48, format=VideoFormat("gray"), time_base=Fraction(1, 25)
)
detect = graph.add("blackdetect", "d=2:pic_th=0.98:pix_th=0.10")
graph.link_nodes(source, detect, graph.add("buffersink")).configure()
seen = {}
for number in range(20):
    frame = VideoFrame(64, 48, "gray")
    grey = 16 if number == 10 else 120
    frame.planes[0].update(bytes([grey]) * frame.planes[0].buffer_size)
    frame.pts, frame.time_base = number, Fraction(1, 25)
    graph.push(frame)
    seen |= {number: graph.pull().metadata}
marked = {number: marks for number, marks in seen.items() if marks}
print(marked)
sys.exit(marked != {10: {"lavfi.black_start": "0.4"}, 11: {"lavfi.black_end": "0.44"}})
P
