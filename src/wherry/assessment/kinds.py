"""The kind of a file, by its first bytes and its name: media, another kind, or unknown.

Rule 1: a file of another kind is not a failed video. A file that begins like media, or that its
sender calls a video, and that cannot be opened, is a failed video.
"""

from __future__ import annotations

from enum import Enum

from wherry.assessment.reading import reading
from wherry.core.media_types import PICTURES, is_transport_stream

#: How many bytes are read.
READ_BYTES = 4096


class Kind(Enum):
    MEDIA = "media"
    OTHER = "other"
    UNKNOWN = "unknown"


#: How files begin that are neither picture that moves nor sound.
OTHERS = (
    *(b"%PDF", b"PK\x03\x04", b"PK\x05\x06", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0"),
    *(b"MM\0*", b"\x7fELF", b"MZ", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ"),
    *(b"\xd0\xcf\x11\xe0", b"SQLite format 3", b"{\\rtf", b"\x28\xb5\x2f\xfd", b"BM"),
)
#: How containers begin, and where.
MEDIA = (
    *((4, name) for name in (b"ftyp", b"moov", b"mdat", b"wide", b"styp", b"moof", b"sidx")),
    *((8, name) for name in (b"AVI ", b"WAVE", b"AIFF", b"AIFC")),
    *((0, name) for name in (b"\x1aE\xdf\xa3", b"FLV", b"OggS", b"fLaC", b"ID3", b"caff")),
    *(
        (0, name)
        for name in (b"DKIF", b"#!AMR", b"\x1f\x07\0", b"RF64", b"riff", b"\x06\x0e\x2b\x34")
    ),
    *(
        (0, name)
        for name in (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\0\0\1", b"\0\0\0\1", b"\x0bw")
    ),
)
#: The suffixes of files that are called a video or sound.
MEDIA_SUFFIXES = frozenset(
    (
        *("mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "ts", "m2ts", "mts"),
        *("m2t", "mpg", "mpeg", "m2v", "vob", "flv", "f4v", "wmv", "asf", "ogv"),
        *("mxf", "gxf", "dv", "3gp", "3g2", "h264", "264", "h265", "265", "hevc"),
        *("ivf", "mp3", "m4a", "aac", "ac3", "eac3", "wav", "w64", "aif", "aiff"),
        *("caf", "flac", "ogg", "oga", "opus", "mka", "amr", "wma", "weba"),
    )
)
#: Demuxers that accept nearly any bytes, by FFmpeg's names.
CREDULOUS = frozenset(
    (
        *("mp3", "aac", "ac3", "eac3", "h264", "hevc", "m4v", "mpegvideo", "amr", "dv"),
        *("gxf", "mpeg"),
    )
)


def kind_of(file: str) -> Kind:
    """The kind of `file`."""
    with reading(file) as data:
        head = data.read(READ_BYTES, 0)
    if not head or head.startswith(OTHERS) or head[8:12] == b"WEBP" or _is_text(head):
        return Kind.OTHER
    if head[4:8] == b"ftyp" and head[8:12] in PICTURES:
        return Kind.OTHER
    starts = any(head[at : at + len(name)] == name for at, name in MEDIA)
    return Kind.MEDIA if starts or _is_synchronous(head) else Kind.UNKNOWN


def is_called_media(filename: str, content_type: str | None) -> bool:
    """Whether the name or the type of a file calls it a video or sound."""
    _, dot, suffix = filename.rpartition(".")
    return (bool(dot) and suffix.lower() in MEDIA_SUFFIXES) or (
        content_type or ""
    ).lower().startswith(("video/", "audio/"))


def _is_synchronous(head: bytes) -> bool:
    """Whether frames of sound, or packets of a transport stream, begin here."""
    # MPEG audio and ADTS: eleven bits that are set, then a version and a layer that exist.
    if len(head) > 2 and head[0] == 0xFF and head[1] >= 0xE0 and head[1] & 0x18 != 0x08:
        return head[1] & 0x06 != 0 or head[1] & 0xF6 == 0xF0
    return is_transport_stream(head)


def _is_text(head: bytes) -> bool:
    """Whether these bytes are text; the last character may be cut off."""
    for end in range(len(head), max(len(head) - 4, 0), -1):
        try:
            text = head[:end].decode()
        except UnicodeDecodeError:
            continue
        return all(letter.isprintable() or letter in "\t\r\n\f\ufeff" for letter in text)
    return False
