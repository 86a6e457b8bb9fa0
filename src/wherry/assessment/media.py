"""Opens and decodes media files, in the child of a step.

Rule 1: formats that name other files (playlists, scripts, session descriptions) are not on
the list of demuxers, and only a file that is open already can be read. FFmpeg refuses both
before one of its demuxers runs.

Rule 2: a packet that cannot be decoded is counted and skipped; a damaged file is read to its
end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wherry.assessment.codecs import codec_tag
from wherry.assessment.encryption import encrypted_streams
from wherry.assessment.kinds import CREDULOUS, Kind, kind_of
from wherry.assessment.mp4 import boxes, is_without_index
from wherry.assessment.padding import without_padding
from wherry.assessment.reading import Reader, is_by_ranges, is_open, reading
from wherry.assessment.stamps import RESET, UNSTAMPED, Stamps

#: The demuxers that may run, by FFmpeg's names.
FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,gxf,dv,ivf,h264,hevc,m4v,"
    "wav,w64,aiff,caf,mp3,aac,ac3,eac3,flac,amr"
)
MAX_STREAMS = 64
#: The largest picture that is decoded: 8K with some room.
MAX_PIXELS = 36_000_000
#: More threads bring little, and each costs memory.
THREADS = min(os.cpu_count() or 1, 4)

#: What keeps FFmpeg from looking into the media; it still looks far enough to know the format.
HEADERS_ONLY = {"probesize": "32", "analyzeduration": "1"}

#: Tags that are not UTF-8 come with lone surrogates in them; `plain` makes text of those.
#: PyAV has been doing so by itself since 19, and knows no other way.
TAGS: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
)

# FFmpeg names its refusals for a developer.
REASONS = {
    "InvalidDataError": "Wherry knows no such video or sound, or its beginning is damaged",
    "ArgumentError": "its format is not one that Wherry opens",
    "EOFError": "it ends before its beginning is complete",
    "MemoryError": "opening it takes more memory than a step may have",
}


#: FFmpeg's decoders of MP3, and how tags begin that stand between its frames.
MP3 = frozenset(("mp3", "mp3float"))
TAGGED = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
Measured = TypeVar("Measured")


class Unreadable(Exception):
    """The file cannot be assessed; the text says why. `is_media`: it is a video or sound."""

    def __init__(self, reason: str, *, is_media: bool = True) -> None:
        super().__init__(reason)
        self.is_media = is_media


def open_media(file: str, *, headers_only: bool = False) -> InputContainer:
    """Open `file`, a path or what a step is given as `Context.file`. Raises `Unreadable`.

    `headers_only`: read no more than headers and one packet. Then facts are missing that only the
    media show, such as the layout of pixels.
    """
    kind = kind_of(file)
    if kind is Kind.OTHER:
        raise Unreadable("it is something else", is_media=False)
    try:
        container = _open(file, HEADERS_ONLY if headers_only else {})
    except FFmpegError as error:
        if is_without_index(boxes(file)):
            raise Unreadable("its index is missing: the end of the file is lost") from None
        reason = REASONS.get(type(error).__name__, error.strerror or "")
        raise Unreadable(reason, is_media=kind is Kind.MEDIA) from None
    try:
        _check_bounds(container)
    except Unreadable:
        container.close()
        raise
    for stream in encrypted_streams(container, file):
        # Without a key there is nothing to decode, and nothing to report as damaged.
        stream.discard = Discard.all
    return container


def _open(file: str, more: Mapping[str, str]) -> InputContainer:
    options = {
        **more,
        "format_whitelist": FORMATS,
        "protocol_whitelist": "fd" if is_open(file) else "file",
        "max_streams": str(MAX_STREAMS),
        "max_pixels": str(MAX_PIXELS),
        "enable_drefs": "0",
    }
    if is_by_ranges(file):
        with reading(file) as data:
            # FFmpeg then calls back for each 32 KiB, and opens nothing by itself.
            by_ranges: InputContainer = av.open(Reader(data), options=options, **TAGS)
            return by_ranges
    name = file
    if is_open(file):
        name, options["fd"] = "fd:", file.removeprefix("fd:")
        os.lseek(int(options["fd"]), 0, os.SEEK_SET)
    container: InputContainer = av.open(name, options=options, **TAGS)
    return container


def is_guessed(container: InputContainer, file: str) -> bool:
    """Whether FFmpeg opened `file` as what it may be by accident: it begins like nothing known."""
    return container.format.name in CREDULOUS and kind_of(file) is Kind.UNKNOWN


def _check_bounds(container: InputContainer) -> None:
    if len(container.streams) == 0:
        raise Unreadable("it contains nothing to play")
    if len(container.streams) > MAX_STREAMS:
        raise Unreadable(f"it has more than {MAX_STREAMS} streams")
    for stream in (s for s in container.streams.video if s.codec_context):
        pixels = stream.width * stream.height
        if pixels > MAX_PIXELS:
            raise Unreadable(
                f"a picture of {stream.width} × {stream.height} is more than "
                f"the {MAX_PIXELS} pixels that Wherry decodes"
            )


def moving_picture(container: InputContainer) -> VideoStream | None:
    """The video a viewer sees; a cover picture is none."""
    shown: VideoStream | None = _played(s for s in container.streams.video if not is_cover(s))
    return shown


def main_sound(container: InputContainer) -> AudioStream | None:
    """The audio a viewer hears."""
    heard: AudioStream | None = _played(container.streams.audio)
    return heard


#: A track with one of these dispositions is not the main one.
SIDE = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.clean_effects
    | Disposition.dependent
    | Disposition.karaoke
)


def _played(streams: Iterable[Any]) -> Any:
    """The track that a player chooses by itself: the first that is marked as default, or the first.

    FFmpeg's own choice, the one with most pixels or channels, is no player's.
    """
    playable = (stream for stream in streams if is_playable(stream))
    return min(playable, key=_rank, default=None)


def _rank(stream: Stream) -> tuple[bool, bool, int]:
    """The lower, the sooner it is played."""
    marks = stream.disposition
    return bool(marks & SIDE), not marks & Disposition.default, stream.index


def is_playable(stream: Stream) -> bool:
    """Whether there is a decoder for it, and no key is needed."""
    return stream.codec_context is not None and not is_encrypted(stream)


def is_cover(stream: Stream) -> bool:
    """Whether it is a cover, or thumbnails to search by."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def is_encrypted(stream: Stream) -> bool:
    """Whether nothing of it can be decoded without a key; `open_media` has found that out."""
    return stream.discard == Discard.all


def origin(container: InputContainer) -> float:
    """The time stamp that a player shows as zero, in seconds."""
    return (container.start_time or 0) / av.time_base


def length(container: InputContainer) -> float | None:
    """How long the file says it is, in seconds."""
    return None if container.duration is None else container.duration / av.time_base


def seconds(value: float | None) -> float | None:
    """A time as reports have it: milliseconds, and no value that JSON cannot say."""
    if value is None or value != value or abs(value) > 1e12:  # noqa: PLR0124  # NaN
        return None
    return round(value, 3)


def when(stamp: int | None, time_base: Any, zero: float) -> float | None:
    """A time stamp in seconds from the beginning."""
    # Unset is None or zero: PyAV's ratios are its own since 19, and Fractions before.
    if stamp is None or not time_base:
        return None
    return seconds(float(stamp * time_base) - zero)


def duration_of(frame: VideoFrame | AudioFrame) -> float:
    """How long a frame is shown or heard, in seconds; zero if it does not say."""
    if isinstance(frame, AudioFrame):
        return frame.samples / frame.sample_rate if frame.sample_rate else 0.0
    return float(frame.duration * (frame.time_base or 0)) if frame.duration else 0.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """One packet and what came out of it: frames, or an error.

    Without a packet: reading failed, or with no error either, a stream that was not announced.
    `shift` is what the packet's own time is moved by, in seconds, where a clock was set anew.
    """

    packet: Packet[Any] | None
    frames: tuple[Any, ...] = ()
    error: str | None = None
    shift: float = 0.0


def decode(
    container: InputContainer, *streams: Stream, threads: int = THREADS
) -> Iterator[Decoded]:
    """Every packet of these streams to the end of the file, decoded; of encrypted ones none.

    Frames have the time at which they are shown (`stamps`). A stream without a decoder
    brings packets without frames.
    """
    streams = tuple(stream for stream in streams if not is_encrypted(stream))
    skipped = [s for s in container.streams if s not in streams and not is_encrypted(s)]
    for stream in skipped:
        # The demuxer then skips its bytes instead of reading them.
        stream.discard = Discard.all
    for stream in streams:
        context = stream.codec_context
        if context is not None and stream.type in ("video", "audio"):
            context.thread_count, context.thread_type = threads, "AUTO"
            context.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        # Without a stream, PyAV takes all.
        yield from _decode(container, *streams) if streams else ()
    finally:
        for stream in skipped:
            stream.discard = Discard.default


def _decode(container: InputContainer, *streams: Stream) -> Iterator[Decoded]:
    clocks = {stream.index: stamps(container, stream) for stream in streams}
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:
            # PyAV's answer to a packet of a stream that began in mid-file: skip it, go on.
            yield Decoded(None, error=None)
            packets = container.demux(*streams)
            continue
        except FFmpegError as error:
            # Reading itself failed: what is behind this place cannot be reached.
            yield Decoded(None, error=error.strerror or "the file cannot be read further")
            return
        yield _decoded(packet, clocks[packet.stream.index])


def _decoded(packet: Packet[Any], clock: Stamps) -> Decoded:
    if packet.stream.codec_context is None or packet.stream.type in ("data", "attachment"):
        return Decoded(packet)
    clock.take(packet)
    try:
        frames = packet.decode()
    except FFmpegError as error:
        if not packet.size and isinstance(error, EOFError):
            # The decoder was at its end before: a stream that was not announced came between.
            return Decoded(packet, shift=clock.shift)
        if packet.stream.codec_context.name in MP3 and bytes(packet).startswith(TAGGED):
            # Songs that were joined have their tags in the middle.
            return Decoded(packet, shift=clock.shift)
        clock.drop()
        message = error.strerror or "cannot be decoded"
        return Decoded(packet, error=message, shift=clock.shift)
    clock.place(frames, last=not packet.size)
    heard = tuple(without_padding(frame, packet.stream) for frame in frames)
    return Decoded(packet, heard, shift=clock.shift)


def stamps(container: InputContainer, stream: Stream) -> Stamps:
    """The clock of a stream that is read from its beginning."""
    names = container.format.name.split(",")
    # Matroska has such streams, too: those in the manner of Video for Windows.
    in_vfw = "matroska" in names and stream.type == "video" and stream.codec_context is not None
    tag = codec_tag(stream).strip(b"\0") if in_vfw else b""
    unstamped = stream.type == "video" and (not UNSTAMPED.isdisjoint(names) or bool(tag))
    return Stamps(stream, unstamped, not RESET.isdisjoint(names))


class Unsteady(Exception):
    """Something is damaged, and what several threads make of it depends on their luck."""


def steadily(measure: Callable[[int], Measured]) -> Measured:
    """What `measure` finds, given a number of threads: many, or one where it raises `Unsteady`."""
    try:
        return measure(THREADS)
    except Unsteady:
        return measure(1)


def frames(container: InputContainer, stream: Stream, threads: int = 1) -> Iterator[Any]:
    """The frames of one stream that could be decoded.

    Raises `Unsteady` for the first damage if there are several threads.
    """
    for decoded in decode(container, stream, threads=threads):
        is_damaged = decoded.error or any(frame.is_corrupt for frame in decoded.frames)
        if threads > 1 and is_damaged:
            raise Unsteady
        yield from decoded.frames
