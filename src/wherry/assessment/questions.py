"""The worker's end of the socket on which a step asks for the bytes of its file.

Rule 1: the step may be in the hands of an attacker. It is given nothing but bytes of its own file,
and what is no question ends it.
"""

from __future__ import annotations

import socket

from wherry.assessment.partial_copy import Partial
from wherry.assessment.reading import ANSWER, LARGEST_QUESTION, QUESTION


class NoQuestion(Exception):
    """The step has sent what is no question."""


class Questions:
    """`theirs` is the step's end. Close it when the step has it, and `close` both at the end."""

    def __init__(self, copy: Partial) -> None:
        self.copy = copy
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._begun = b""

    def fileno(self) -> int:
        """What to wait for until there is something to read."""
        return self._ours.fileno()

    def answer(self) -> bool:
        """Take what is there and answer it, if it is a whole question; False at the end.

        Raises `NoQuestion`, `Interrupted`.
        """
        try:
            # One more than a question has: the step must wait for the answer.
            got = self._ours.recv(QUESTION.size + 1 - len(self._begun))
            self._begun += got
            if len(self._begun) > QUESTION.size:
                raise NoQuestion
            if len(self._begun) == QUESTION.size:
                self._send(ANSWER.pack(*self._fetch()))
        except BlockingIOError:  # there is nothing to read after all
            return True
        except ConnectionError:
            return False
        return bool(got)

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self.theirs.close()

    def _send(self, answer: bytes) -> None:
        try:
            self._ours.send(answer)
        except BlockingIOError:  # there is room for it, unless earlier ones were not read
            raise NoQuestion from None

    def _fetch(self) -> tuple[int, int]:
        at, count = QUESTION.unpack(self._begun)
        self._begun = b""
        if not 0 < count <= LARGEST_QUESTION or at + count > self.copy.length:
            raise NoQuestion
        return self.copy.fetch(at, count)
