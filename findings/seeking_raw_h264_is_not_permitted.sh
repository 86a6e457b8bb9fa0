#!/usr/bin/env bash
# Seeking in raw H.264 fails with "Operation not permitted", as if the system had denied it.
#
# Version    PyAV 18.1.0 (FFmpeg 8.1.2, libavformat 62), Python 3.11 or newer
# Input      two seconds of valid H.264 without a container, in a file that anybody may read
# Expected   an error that says that this format cannot be seeked, or a seek to its beginning
# Seen       PermissionError (EPERM), also for a seek to 0. FFmpeg's demuxers return -1 if they
#            cannot seek, and -1 is EPERM. In a sandbox, it looks as if the sandbox were at fault.
#            Seeking in MPEG-2 without a container (mpegvideo) works.
#
# Exits with 1 if this is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0
cd "$folder"
"$folder/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
from av.video.frame import VideoFrame


def make(name, codec, container):
    with av.open(name, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(50):
            frame = VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([number * 4]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def seek(name):
    with av.open(name) as container:
        try:
            container.seek(0)
        except OSError as error:
            return type(error).__name__, error.strerror
    return None


make("a.h264", "libx264", "h264")
make("a.m2v", "mpeg2video", "mpeg2video")
seen = seek("a.h264"), seek("a.m2v")
print(seen)
sys.exit(seen != (("PermissionError", "Operation not permitted"), None))
P
