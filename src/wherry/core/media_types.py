"""Media types of recordings that `filetype` does not know, by their first bytes.

Cameras and broadcasters make such files, and a user who accepts `video/*` means them.
"""

from __future__ import annotations

#: Sizes of the packets of a transport stream: alone, behind a time stamp (cameras, Blu-ray), and
#: with error correction (ISO/IEC 13818-1, ETSI EN 300 429).
_PACKETS = (188, 192, 204)
#: Brands of pictures (ISO/IEC 23008-12), which are in the same boxes as videos.
PICTURES = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"))
_SOUND = (b"M4A ", b"M4B ", b"M4P ")
#: How a file begins, where, and what it is.
_BEGINNINGS = (
    # QuickTime files of before 2001, and some of later cameras, have no box `ftyp`.
    *((4, name, "video/quicktime") for name in (b"moov", b"mdat", b"wide", b"pnot")),
    # Brands that `filetype` does not list.
    *((4, b"ftyp" + brand, "image/heif") for brand in sorted(PICTURES)),
    *((4, b"ftyp" + brand, "audio/mp4") for brand in _SOUND),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "application/mxf"),  # SMPTE ST 377-1
    (0, b"\x1f\x07\0", "video/dv"),
)


def recorded_type(head: bytes) -> str | None:
    """The media type of a file that begins so; None for another kind."""
    if is_transport_stream(head):
        return "video/mp2t"
    return next((kind for at, name, kind in _BEGINNINGS if head.startswith(name, at)), None)


def is_transport_stream(head: bytes) -> bool:
    """Whether packets of a transport stream begin here; the first one may be cut."""
    return any(
        head[first : first + 5 * size : size] == b"GGGGG"
        for size in _PACKETS
        for first in range(size)
    )
