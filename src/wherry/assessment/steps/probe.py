"""What the headers of the file declare: container, streams, colours, tags.

Rule 1: declarations are reported and never relied on. Text from the file is cut short and
loses its control characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from wherry.assessment.codecs import codec_name, codec_tag
from wherry.assessment.context import Context
from wherry.assessment.declared import Declared, read_declared
from wherry.assessment.json_safe import make_text_safe
from wherry.assessment.media import (
    frames,
    is_cover,
    is_encrypted,
    is_guessed,
    main_sound,
    moving_picture,
    open_media,
    origin,
    seconds,
    when,
)
from wherry.assessment.mp4 import boxes, is_faststart

#: The longest text of the file that is reported, in characters.
TEXT = 200
TAGS = ("title", "encoder", "creation_time", "timecode", "major_brand", "com.apple.quicktime.model")
DOLBY_VISION = dict.fromkeys((b"dvh1", b"dvhe", b"dvav", b"dva1", b"dav1"), "Dolby Vision")
#: Containers whose header lists all streams, by FFmpeg's names.
LISTS_STREAMS = frozenset(("mov", "matroska", "avi"))
HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}


def measure(context: Context) -> dict[str, Any]:
    """Container and streams; sizes in bytes, rates in bits or frames a second, times in seconds.

    Raises `Unreadable`.
    """
    with open_media(context.file) as container:
        declared = read_declared(container, context.file)
        streams = [_stream(stream, declared) for stream in container.streams]
        rotation = _rotation(container)
        picture, sound = moving_picture(container), main_sound(container)
        if picture is not None:
            streams[picture.index] |= _display(picture, rotation or 0)
        return {
            "container": container.format.name,
            "guessed": is_guessed(container, context.file),
            "duration": seconds(declared.length),
            "duration_basis": declared.basis,
            "start": seconds(origin(container)),
            "bit_rate": container.bit_rate or None,
            "faststart": is_faststart(boxes(context.file)),
            "tags": _tags(container.metadata),
            "timecode": _timecode(container),
            "languages": sorted({s["language"] for s in streams if s["language"]} - {"und"}),
            "subtitles": len(container.streams.subtitles),
            "video_seconds": picture and when(picture.duration, picture.time_base, 0.0),
            "audio_seconds": sound and when(sound.duration, sound.time_base, 0.0),
            "rotation": rotation,
            "streams": streams,
        }


def measure_early(context: Context) -> dict[str, Any]:
    """What `measure` finds, as far as headers alone show it; for an early verdict.

    Where headers list all streams, it reads them and one packet; of other containers, it measures
    all. Raises `Unreadable`.
    """
    with open_media(context.file, headers_only=True) as container:
        name = container.format.name
        if LISTS_STREAMS & set(name.split(",")):
            declared = read_declared(container, context.file)
            return {
                "container": name,
                "guessed": is_guessed(container, context.file),
                "duration": seconds(declared.length),
                "duration_basis": declared.basis,
                "streams": [_stream(stream, declared) for stream in container.streams],
            }
    return measure(context)


def _stream(stream: Any, declared: Declared) -> dict[str, Any]:
    context = stream.codec_context
    own = stream.index in declared.ends
    facts: dict[str, Any] = {
        "index": stream.index,
        "type": stream.type,
        "codec": codec_name(stream),
        "profile": text(stream.profile) if context and stream.profile else None,
        "encrypted": is_encrypted(stream),
        "duration": when(stream.duration, stream.time_base, 0.0),
        "duration_basis": _basis(stream, own),
        "frames": stream.frames or None,
        "language": text(stream.metadata.get("language")),
        "default": bool(stream.disposition & Disposition.default),
    }
    if context is None:
        return facts
    if stream.type == "video":
        facts |= _video(stream)
    elif stream.type == "audio":
        facts |= {
            "bit_rate": context.bit_rate or None,
            "sample_rate": stream.sample_rate,
            "channels": context.channels,
            "layout": context.layout.name,
        }
    return facts


def _basis(stream: Any, own: bool) -> str | None:
    if stream.duration is None:
        return None
    return "declared" if own else "estimated"


def _video(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    return {
        "bit_rate": context.bit_rate or None,
        "width": stream.width,
        "height": stream.height,
        "pixel_format": context.pix_fmt,
        "sample_aspect_ratio": _ratio(stream.sample_aspect_ratio),
        "frame_rate": _rate(stream.average_rate),
        "real_frame_rate": _rate(stream.base_rate),
        "colour_range": _name(ColorRange, context.color_range),
        "colour_primaries": _name(ColorPrimaries, context.color_primaries),
        "colour_transfer": _name(ColorTrc, context.color_trc),
        "colour_matrix": _name(Colorspace, context.colorspace),
        "bit_depth": _bit_depth(context),
        "hdr": DOLBY_VISION.get(codec_tag(stream)) or HDR.get(context.color_trc),
        "cover": is_cover(stream),
    }


def _display(stream: VideoStream, rotation: int) -> dict[str, int]:
    """The shape in which a player shows the picture, with square pixels and upright."""
    aspect = float(stream.sample_aspect_ratio or 1)
    sides = [round(stream.width * aspect), stream.height]
    width, height = sides if rotation % 180 == 0 else sides[::-1]
    return {"display_width": width, "display_height": height}


def _bit_depth(context: VideoCodecContext) -> int | None:
    """Bits of one colour of one pixel."""
    if context.format is None:
        return None
    return max((component.bits for component in context.format.components), default=None)


def _timecode(container: InputContainer) -> str | None:
    """Where the recording's own clock began, as the container or a stream says."""
    sources = [container.metadata, *(stream.metadata for stream in container.streams)]
    return text(next((m["timecode"] for m in sources if "timecode" in m), None))


def _rotation(container: InputContainer) -> int | None:
    """Degrees counterclockwise by which a player turns the picture."""
    stream = moving_picture(container)
    if stream is None:
        return None
    try:
        return next((int(frame.rotation) % 360 for frame in frames(container, stream)), None)
    except FFmpegError:
        return None


def _name(names: Any, value: int) -> str | None:
    try:
        name = names(value).name.lower()
    except ValueError:
        return None
    return None if name in ("unspecified", "default") else name


def _rate(value: Fraction | None) -> float | None:
    return seconds(float(value)) if value else None


def _ratio(value: Fraction | None) -> str | None:
    return f"{value.numerator}:{value.denominator}" if value else None


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    tags = {name: text(metadata.get(name)) for name in TAGS}
    return {name: value for name, value in tags.items() if value}


def text(value: str | None) -> str | None:
    """The printable part of what a file says."""
    if value is None:
        return None
    letters = (letter for letter in make_text_safe(value) if letter.isprintable())
    return "".join(letters)[:TEXT] or None
