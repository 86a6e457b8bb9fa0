"""The worker and its steps get less of the processor than the server that takes uploads.

Rule 1: where nothing else wants the processor, they get all of it. So nothing is slower on an
idle machine, and 1,000 files that wait for their assessment do not slow down the next upload.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: Under contention, about a third of what a process of the usual priority gets.
NICENESS = 5


def lower_priority() -> None:
    """For this process, and all that it starts in its session from now on."""
    os.nice(max(NICENESS - os.nice(0), 0))
    # Linux may share the processor between sessions first, and the worker has one of its own. Then
    # the niceness counts only inside of the session, and the session has a niceness, too.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS))
