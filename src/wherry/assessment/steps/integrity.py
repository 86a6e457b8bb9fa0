"""Whether the whole file can be decoded: errors, missing frames, gaps, a missing end.

Rule 1: every stream is decoded to its end. A decoder hides most damage from a viewer, so this
counts what it could not decode, marked as damaged, or never received.

Rule 2: the result does not depend on the number of processors. Decoders that work on several
frames at once report errors late, or never at the end of a stream; a file with any error is
decoded again by one thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from av.container import InputContainer

from wherry.assessment.context import Context
from wherry.assessment.declared import Declared, read_declared
from wherry.assessment.media import (
    THREADS,
    decode,
    is_cover,
    is_encrypted,
    main_sound,
    moving_picture,
    open_media,
    origin,
    seconds,
)
from wherry.assessment.structure import Packets, missing_bytes, read_packets
from wherry.assessment.tally import Tally

#: Containers that are cut anywhere and play on, by FFmpeg's names: what they end with may be
#: incomplete.
STREAMED = frozenset(("mpegts", "mpeg", "h264", "hevc", "m4v", "mpegvideo", "mp3", "aac"))
STREAMED |= frozenset(("ac3", "eac3", "dv", "amr"))

#: Those whose packets can be followed without knowing what is in them.
FOLLOWED = frozenset(("mpegts", "ogg"))
#: Containers in which each packet lies behind the one before; between them is little else.
IN_ORDER = frozenset(("matroska", "flv"))
#: More bytes between two packets than these were skipped: they made no sense.
SKIPPED = 4096


def measure(context: Context) -> dict[str, Any]:
    """Counts and places of damage for each stream, in seconds. Raises `Unreadable`."""
    found = _measure(context.file, THREADS)
    if THREADS > 1 and not found.is_sound:
        found = _measure(context.file, 1)
    return found.facts


@dataclass(frozen=True, slots=True)
class _Found:
    facts: dict[str, Any]
    is_sound: bool


def _measure(file: str, threads: int) -> _Found:
    with open_media(file) as container:
        zero = origin(container)
        declared = read_declared(container, file)
        names = container.format.name.split(",")
        streamed, in_order = (not kinds.isdisjoint(names) for kinds in (STREAMED, IN_ORDER))
        tallies = {s.index: Tally(s, zero, streamed) for s in container.streams}
        lost, unannounced, behind = None, 0, 0
        for decoded in decode(container, *container.streams, threads=threads):
            packet = decoded.packet
            if packet is None:
                lost = decoded.error
                unannounced += decoded.error is None
                continue
            tally = tallies[packet.stream.index]
            tally.take(packet, decoded)
            if packet.pos and packet.size:
                if in_order and behind and packet.pos - behind > SKIPPED:
                    tally.skip()
                behind = packet.pos + packet.size
        packets = read_packets(file) if not FOLLOWED.isdisjoint(names) else Packets()
        facts = _sum_up(container, tallies, declared)
        facts["errors"] += lost is not None
        facts["cut_off"] |= packets.cut_off
        facts |= {
            "unreadable_from": lost,
            "unannounced": unannounced,
            "missing_bytes": missing_bytes(file),
            "skipped_bytes": packets.skipped,
        }
        wrong = facts["errors"] + facts["damaged"] + facts["missing"] + facts["cut_off"]
        return _Found(facts, not wrong)


def _sum_up(
    container: InputContainer, tallies: Mapping[int, Tally], declared: Declared
) -> dict[str, Any]:
    cut = [tally.finish() for tally in tallies.values()]
    damaged = sorted(time for tally in tallies.values() for time in tally.damaged_at)
    streams = []
    for index, tally in tallies.items():
        if is_encrypted(tally.stream):
            missing, ends = None, _ends(tally, None)
        else:
            missing = tally.missing(declared.packets.get(index), damaged)
            ends = _ends(tally, declared.ends.get(index))
        streams.append({**tally.render(missing), **ends})
    played = [t for t in tallies.values() if t.stream.type in ("video", "audio")]
    played = [tally for tally in played if not is_cover(tally.stream)]
    missing_frames = sum(s["missing"] or 0 for s in streams)
    bases = {s["missing_basis"] for s in streams if s["missing"]}
    counted = [s for s in streams if s["missing"] is not None]
    return {
        "streams": streams,
        # Errors of subtitles and covers are reported with their stream.
        "errors": sum(tally.errors for tally in played),
        "damaged": sum(tally.damaged for tally in played),
        "missing": missing_frames,
        # The weakest of what it rests on.
        "missing_basis": next((b for b in ("estimated", "declared") if b in bases), "counted"),
        "expected": missing_frames + sum(s["frames"] for s in counted),
        "declared_seconds": max(
            (s["declared_end"] for s in streams if s["declared_end"] is not None), default=None
        ),
        "decoded_seconds": max((s["end"] for s in streams if s["end"] is not None), default=0.0),
        "missing_seconds": max((s["missing_end"] or 0.0 for s in streams), default=0.0),
        "container_seconds": seconds(declared.together),
        "container_missing": _short(declared.together, played),
        "cut_off": any(cut),
        "video_longer_by": _apart(container, tallies),
    }


def _ends(tally: Tally, declared: float | None) -> dict[str, float | None]:
    """Where a track declares that it ends, and by how much it falls short of it."""
    short = None if declared is None else _short(declared, [tally])
    return {"declared_end": seconds(declared), "missing_end": short}


def _short(declared: float | None, tallies: Sequence[Tally]) -> float | None:
    """By how many seconds all of these end before the end that is declared.

    Whether that counts from zero or from where the file's clock begins is not the same in all
    files: the later end counts.
    """
    ends = [end for t in tallies for end in (t.end, t.reached) if end is not None]
    if declared is None or not ends:
        return None
    latest = max(ends)
    latest = max(latest, latest - tallies[0].zero)
    return seconds(max(declared - latest, 0.0))


def _apart(container: InputContainer, tallies: Mapping[int, Tally]) -> float | None:
    """By how much the picture ends after the sound; of several, those that are played."""
    picture, sound = moving_picture(container), main_sound(container)
    if picture is None or sound is None:
        return None
    seen, heard = tallies[picture.index].end, tallies[sound.index].end
    return None if seen is None or heard is None else seconds(seen - heard)
