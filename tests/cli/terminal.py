"""A command on a terminal, as a person has it in front of them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: How long anything may take on a busy machine, in seconds.
PATIENCE = 120.0
ROWS, COLUMNS = 40, 160
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\r")


class Terminal:
    """What a command has written to it, and the keys that are pressed."""

    def __init__(self, *words: object, environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._theirs = theirs
        self.before = termios.tcgetattr(theirs)
        self._written = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wherry", *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )

    def wait_for(self, words: str) -> str:
        """All that was written up to these words; it is not looked at again."""
        deadline = time.monotonic() + PATIENCE
        while words not in (text := _CONTROLS.sub("", self._written)):
            assert time.monotonic() < deadline, f"{words!r} is not in {text[-3000:]}"
            self._read()
        self._written = ""
        return text

    def _read(self) -> None:
        if select.select([self._ours], [], [], 0.2)[0]:
            self._written += os.read(self._ours, 65536).decode(errors="replace")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """The exit code, when it has ended by itself."""
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None:  # what nobody reads would hold it up
            assert time.monotonic() < deadline, "it does not end"
            self._read()
        return self._process.returncode

    def is_as_before(self) -> bool:
        """Whether the terminal has the modes that it had before the command."""
        return termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._ours)
        os.close(self._theirs)


def _take_terminal() -> None:
    """So that Ctrl-C on it reaches the command."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_terminal(*words: object, environment: Mapping[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(*words, environment=environment)
    try:
        yield terminal
    finally:
        terminal.close()
