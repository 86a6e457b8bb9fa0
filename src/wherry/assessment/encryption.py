"""Which streams of a file are encrypted, as the file itself declares.

Common Encryption in MP4 (ISO/IEC 23001-7), the same in Matroska and WebM, Apple's SAMPLE-AES in
transport streams, and the scrambling of broadcasts (ETSI TS 101 211 and ISO/IEC 13818-1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from av.container import InputContainer
from av.stream import Stream

from wherry.assessment.codecs import codec_tag
from wherry.assessment.mp4 import read_movie
from wherry.assessment.reading import reading

#: Stream types of H.264, AAC, AC-3 and E-AC-3 under SAMPLE-AES.
SAMPLE_AES = frozenset((b"\xdb", b"\xcf", b"\xc1", b"\xc2"))
#: How many bytes of a transport stream are read, and the size of its packets.
LOOKED_AT, PACKET = 1 << 20, 188


def encrypted_streams(container: InputContainer, file: str) -> Iterator[Stream]:
    """Those of `container`, opened from `file`, that cannot be decoded without a key."""
    names = container.format.name.split(",")
    movie = read_movie(file) if "mov" in names else None
    scrambled = _scrambled(file) if "mpegts" in names else frozenset()
    for stream in container.streams:
        in_movie = movie is not None and stream.id in movie.encrypted
        in_matroska = "enc_key_id" in stream.metadata
        in_transport = "mpegts" in names and codec_tag(stream)[:1] in SAMPLE_AES
        if in_movie or in_matroska or in_transport or stream.id in scrambled:
            yield stream


def _scrambled(file: str) -> frozenset[int]:
    """The packet identifiers whose packets say, for the most part, that they are scrambled."""
    with reading(file) as source:
        data = source.read(LOOKED_AT, 0)
    first = next((at for at in range(PACKET) if data[at : at + 5 * PACKET : PACKET] == b"GGGGG"), 0)
    clear: Counter[int] = Counter()
    hidden: Counter[int] = Counter()
    for at in range(first, len(data) - 3, PACKET):
        if data[at] != 0x47:
            break
        packet = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        # "transport_scrambling_control": 0 is none, 1 is reserved.
        (hidden if data[at + 3] >= 0x80 else clear)[packet] += 1
    return frozenset(packet for packet, count in hidden.items() if count > clear[packet])
