#!/usr/bin/env bash
# Encoding one picture as AV1 leaves the thread that did it at the highest real-time priority.
#
# Version: SVT-AV1 4.2.0, as PyAV 18.1.0 brings it, on Linux, for a user who may set such priorities, as
# root in many containers may. The encoder is closed and freed; the thread keeps SCHED_FIFO, priority 99, and
# every thread and process that it starts later inherits both. Two such processes that are busy take two
# processors for themselves: all others on the machine got 5 % of the time, which the kernel keeps back
# for them (sched_rt_runtime_us). libx264, from the same package, changes nothing.
# Seen: before: policy 0, priority 0
#       after libx264: policy 0, priority 0
#       after libsvtav1: policy 1, priority 99
#       a process that was started then: policy 1, priority 99
set -euo pipefail
if ! python3 -c 'import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))' 2>/dev/null; then
    echo "not run: this user may not set real-time priorities, and then nothing changes"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0
"$work/venv/bin/python" - <<'PYTHON'
import io
import os
import subprocess
import sys

import av

SAY = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
av.logging.set_level(av.logging.PANIC)


def encode(codec: str) -> None:
    with av.open(io.BytesIO(), "w", format="matroska") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for packet in (*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode()):
            out.mux(packet)


def say(when: str) -> tuple[int, int]:
    found = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    print(f"{when}: policy {found[0]}, priority {found[1]}")
    return found


usual = say("before")
encode("libx264")
assert say("after libx264") == usual
encode("libsvtav1")
assert say("after libsvtav1") == (os.SCHED_FIFO, 99), "changed: the priority is given back"
child = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
policy, priority = child.stdout.split()
print(f"a process that was started then: policy {policy}, priority {priority}")
assert (policy, priority) == ("1", "99")
PYTHON
