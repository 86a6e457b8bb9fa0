"""How long a file and its tracks are by their headers, and whether that is declared or guessed.

FFmpeg has one number for both: what a header declares, and what follows from the bit rate and
the size, or from the last timestamps.

Rule 1: only a track's own declaration can make it truncated. The length of a container is that of
its longest track, which may be subtitles, telemetry or a time code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import av
from av.container import InputContainer
from av.stream import Stream

from wherry.assessment.mp4 import Movie, read_movie
from wherry.assessment.reading import reading

Basis = Literal["declared", "estimated", "counted"]

#: Containers whose header has a length for each track, by FFmpeg's names.
OF_TRACKS = frozenset(("mov", "flac", "wav", "w64", "aiff", "caf", "mxf", "gxf"))
#: Those whose header has one for the whole.
OF_ALL = frozenset(("mov", "matroska", "flv", "asf"))
#: How far a track's length may go beyond the container's, in seconds, and still be its own: tools
#: that cut Matroska files may leave the tags of the whole.
CLOSE = 0.1
#: What an encoder writes into the first frame of an MP3 file to say how many follow.
COUNTS_FRAMES = (b"Xing", b"Info", b"VBRI")


@dataclass(frozen=True, slots=True)
class Declared:
    """Seconds and counts out of headers."""

    #: The whole, as FFmpeg knows it, and what that rests on.
    length: float | None
    basis: Basis | None
    #: By the index of the stream: where it ends, counted from where the file begins.
    ends: dict[int, float] = field(default_factory=dict)
    #: By the index of the stream: how many packets an index of all of them has.
    packets: dict[int, int] = field(default_factory=dict)
    #: Where the longest of picture and sound ends, if there is nothing else in the container.
    together: float | None = None


def read_declared(container: InputContainer, file: str) -> Declared:
    """What the headers of this container, opened from `file`, declare."""
    names = frozenset(container.format.name.split(","))
    length = None if container.duration is None else container.duration / av.time_base
    movie = read_movie(file) if "mov" in names else Movie()
    ends = dict(_ends(container, names, movie, file))
    packets = {}
    if "mov" in names and not movie.fragmented:
        packets = {s.index: len(s.index_entries) for s in container.streams if _is_timed(s)}
    together = None if ends else _together(container, names, movie, length)
    known = bool(ends) or together is not None or (names & OF_ALL and not movie.fragmented)
    basis: Basis = "declared" if known and not _is_guessed(container, names) else "estimated"
    return Declared(length, None if length is None else basis, ends, packets, together)


def _ends(container: InputContainer, names: frozenset[str], movie: Movie, file: str) -> Any:
    zero = (container.start_time or 0) / av.time_base
    # Each frame of AVI has a header of eight bytes. A writer that does not know the number of
    # frames may have written any number.
    most = (container.size or 0) // 8
    by_track = bool(names & OF_TRACKS) or ("mp3" in names and _counts_frames(file))
    for stream in container.streams:
        if not _is_timed(stream):
            continue
        base = stream.time_base or 0
        begin = float((stream.start_time or 0) * base) - zero
        own = None if stream.duration is None else float(stream.duration * base)
        if movie.fragmented:
            if stream.id in movie.indexed:
                yield stream.index, begin + movie.indexed[stream.id]
        elif "matroska" in names:
            tagged = _tagged(stream)
            whole = (container.duration or 0) / av.time_base
            if tagged is not None and tagged <= whole + CLOSE:
                yield stream.index, tagged
        elif own is not None and by_track:
            indexed = _indexed(stream) if "mov" in names else None
            yield stream.index, begin + (own if indexed is None else min(own, indexed))
        elif "avi" in names and stream.type == "video" and 0 < stream.frames <= most:
            # Of sound it is often wrong; and what FFmpeg tells as its length is mended by it.
            yield stream.index, float(stream.frames * base)


def _indexed(stream: Stream) -> float | None:
    """Where the samples in the index end: an edit list may promise more.

    Those before the first one that is shown have times below it.
    """
    entries = stream.index_entries
    if len(entries) < 2 or not stream.time_base:
        return None
    before, last = (entries[at].timestamp for at in (-2, -1))
    return float((2 * last - before - (stream.start_time or 0)) * stream.time_base)


def _tagged(stream: Stream) -> float | None:
    """The tag that Matroska's writers give each track, in hours, minutes and seconds."""
    for name, value in stream.metadata.items():
        if name.upper().partition("-")[0] == "DURATION":
            parts = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", value.strip())
            if parts:
                hours, minutes, seconds = (float(part) for part in parts.groups())
                return 3600 * hours + 60 * minutes + seconds
    return None


def _together(
    container: InputContainer, names: frozenset[str], movie: Movie, length: float | None
) -> float | None:
    if not all(_is_timed(stream) or _is_still(stream) for stream in container.streams):
        return None
    if movie.fragmented:
        return movie.fragments
    return length if names & OF_ALL and not _is_guessed(container, names) else None


def _is_guessed(container: InputContainer, names: frozenset[str]) -> bool:
    """Whether FFmpeg has made up the length: it then gives it to every stream, too."""
    if not names & {"matroska", "flv", "asf"}:
        return False
    return any(stream.duration is not None for stream in container.streams)


def _is_still(stream: Stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_timed(stream: Stream) -> bool:
    """Whether this is picture or sound that plays."""
    return stream.type in ("video", "audio") and not _is_still(stream)


def _counts_frames(file: str) -> bool:
    with reading(file) as data:
        head = data.read(10, 0)
        at = 0
        if head[:3] == b"ID3":
            # The size of a tag has seven bits a byte.
            at = 10 + sum((byte & 0x7F) << 7 * (3 - n) for n, byte in enumerate(head[6:10]))
        first = data.read(512, at)
    return any(mark in first for mark in COUNTS_FRAMES)
