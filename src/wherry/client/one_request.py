"""A whole file in one request: what to do next, and what to conclude from a failure.

Rule 1: no clock, no randomness, no I/O, as in `plan`. The twin of oneRequest.ts.

Rule 2: after a request whose outcome is unknown, nothing is sent before the server was asked what
it has. So a lost answer makes no second upload.
"""

from __future__ import annotations

from typing import Literal

from wherry.client.chunk_size import ChunkSize
from wherry.client.decisions import Next, is_filtered, may_hide_refusal, what_next
from wherry.client.errors import ClientError, NoRoom, TooLarge


class OneRequest:
    """One file of `length` bytes that is sent in one request, if that gets through.

    `margin`: what the form around it adds, at most.
    """

    def __init__(self, length: int, size: ChunkSize, margin: int = 0) -> None:
        self.length = length
        self._margin = margin
        self._size = size
        self.key: str | None = None  #: Identifies the request, however often it is sent.
        self.is_unclear = False  #: It was sent, and its outcome is unknown.
        #: This failure may be a proxy's refusal for size. None once the server was away.
        self.suspected: ClientError | None = None

    @property
    def next(self) -> Literal["ask", "send", "chunks"]:
        """What to do now: ask the server what it has, send the file, or send chunks instead."""
        if self.is_unclear:
            return "ask"
        return "send" if self._size.takes_whole(self.length + self._margin) else "chunks"

    def failed(self, error: ClientError, seconds: float) -> None:
        """The request that sends the file failed after so many seconds."""
        after = what_next(error, "upload")
        self.is_unclear = after is not Next.SMALLER
        if after is not Next.SMALLER:
            self._size.note_failed(self.length, seconds)
        elif isinstance(error, TooLarge):
            self._size.note_refused(self.length, error)
        elif not isinstance(error, NoRoom) and not self._may_pass_as_form(error):
            self._size.path.has_whole = False
        self.suspected = error if may_hide_refusal(error, after) else None

    def _may_pass_as_form(self, error: ClientError) -> bool:
        # A 404 in answer to a whole file comes from a server that has only the chunked routes.
        return is_filtered(error) and error.status != 404 and not self._size.path.as_form

    def absent(self) -> bool:
        """The server has nothing. True if the file was refused for its size, in disguise."""
        self.is_unclear = False
        error = self.suspected
        return error is not None and self._size.note_suspected(self.length, error)
