"""The codec of a stream: its name, and its tag in the container."""

from __future__ import annotations

from av.codec.context import CodecContext
from av.stream import Stream


def codec_name(stream: Stream) -> str | None:
    """How it is coded, whatever decodes it here; None if nothing does."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else None


def codec_tag(stream: Stream) -> bytes:
    """Four bytes of the container's; zeros if there are none, or there is no decoder."""
    context: CodecContext | None = stream.codec_context
    if context is None:
        return bytes(4)
    try:
        return str(stream.codec_tag).encode("ascii", "replace")
    except UnicodeDecodeError as error:
        # PyAV takes them for ASCII. Transport streams have numbers there, up to 255.
        return error.object
