"""Uploads that are put together from others.

Rule 1: an upload is a piece, or is joined from pieces, or neither; never both. So a joined upload
is no piece of another one.

Rule 2: a piece is never a file of its own. It ends when its bytes are in the joined upload.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.core.ranges import Range


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a joined upload, by its identifier; `length` in bytes."""

    upload_id: str
    length: int


@dataclass(frozen=True, slots=True)
class Joining:
    """What a piece, or a joined upload, has beside an ordinary one.

    `pieces`: whose bytes, in this order, are those of the joined upload; one may be there several
    times; none: it is a piece itself. `into`: of a piece: the upload that is to get its bytes, or
    has got them; None: none is known yet.
    """

    pieces: tuple[Piece, ...] = ()
    into: str | None = None

    @property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)

    def places(self) -> list[tuple[str, Range | None]]:
        """The pieces in order, and where the bytes of each are; None: it is empty."""
        found, at = list[tuple[str, Range | None]](), 0
        for piece in self.pieces:
            within = Range(at, at + piece.length) if piece.length else None
            found.append((piece.upload_id, within))
            at += piece.length
        return found
