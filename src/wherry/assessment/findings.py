"""Turns what the steps found into findings, by the measures of a policy.

Rule 1: the policy alone decides whether something becomes a finding, and its severity.
This module decides which value is compared with which measure, and writes the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wherry.assessment.policy import Policy, Severity
from wherry.assessment.schema import (
    Audio,
    Basis,
    Finding,
    Integrity,
    Interlace,
    Loudness,
    Luma,
    Probe,
    Span,
    Stream,
    Stretches,
    Visual,
)

#: A remainder of a stretch that is shorter is no finding, in seconds.
SHORTEST_REST = 0.1


def _judged(
    policy: Policy,
    measure: str,
    value: float | None,
    code: str,
    message: str,
    *place: float | None,
    basis: Basis | None = "counted",
) -> Iterator[Finding]:
    """The finding, if `value` reaches a limit of the policy; `place` is its start and end."""
    judged = None if value is None else policy.judge(measure, value)
    if judged is not None:
        severity, threshold = judged
        start, end = (*place, None, None)[:2]
        yield Finding(
            code=code,
            severity=severity,
            message=message,
            start=start,
            end=end,
            value=value,
            threshold=threshold,
            basis=basis,
        )


def _condition_met(
    policy: Policy, condition: str, code: str, message: str, basis: Basis = "declared"
) -> Iterator[Finding]:
    """The finding, if the policy has a severity for this condition."""
    severity = policy.conditions.get(condition)
    if severity is not None:
        yield Finding(code=code, severity=severity, message=message, basis=basis)


def find_no_media(policy: Policy) -> Iterator[Finding]:
    """A file of another kind, which neither its name nor its type calls a video."""
    message = "The file is stored. It is not a video and was not assessed."
    yield from _condition_met(policy, "not_media", "FILE-NOT-MEDIA", message, "counted")


def find_in_probe(probe: Probe, policy: Policy) -> Iterator[Finding]:
    """Tracks that are missing, encrypted, or that cannot be decoded here."""
    kinds = {stream.type for stream in probe.streams if not stream.cover}
    if "video" not in kinds:
        yield from _condition_met(policy, "no_video", "VIDEO-MISSING", "The file has no video.")
    if "audio" not in kinds:
        yield from _condition_met(policy, "no_audio", "AUDIO-MISSING", "The file has no sound.")
    for stream in probe.streams:
        if stream.encrypted:
            message = f"The {stream.type} in stream {stream.index} is encrypted. It is stored, but "
            message += "was not assessed."
            yield from _condition_met(policy, "encrypted", "STREAM-ENCRYPTED", message)
        elif stream.codec is None and stream.type in ("video", "audio"):
            yield from _unknown(stream, probe, policy)
        if stream.codec is not None and not stream.cover:
            yield from _codec(stream, stream.codec, policy)
    pictures = [s for s in probe.streams if s.type == "video" and not s.cover]
    side = max((min(s.width, s.height) for s in pictures if s.width and s.height), default=None)
    message = f"The shorter side of the picture has {side} pixels."
    yield from _judged(policy, "small", side, "VIDEO-SMALL", message, basis="declared")


def _codec(stream: Stream, codec: str, policy: Policy) -> Iterator[Finding]:
    judged = policy.judge_codec(stream.type, codec)
    if judged is not None:
        severity, allowed = judged
        message = f"The {stream.type} in stream {stream.index} has the codec {codec[:40]}. "
        message += f"Allowed: {', '.join(allowed) or 'none'}."
        yield Finding(
            code="CODEC-REFUSED", severity=severity, message=message[:700], basis="declared"
        )


def _unknown(stream: Stream, probe: Probe, policy: Policy) -> Iterator[Finding]:
    message = f"Stream {stream.index} ({stream.type}) uses an unknown codec"
    if any(s.type == stream.type and s.codec and not s.cover for s in probe.streams):
        message += f"; players use another {stream.type} stream."
        yield from _condition_met(policy, "unknown_track", "CODEC-UNKNOWN", message)
    else:
        severity = Severity.FAIL
        yield Finding(
            code="CODEC-UNKNOWN", severity=severity, message=f"{message}.", basis="declared"
        )


def find_length(probe: Probe, integrity: Integrity | None, policy: Policy) -> Iterator[Finding]:
    """Too short or too long, by what the file declares of itself, or else by what was counted."""
    length, basis = probe.duration, probe.duration_basis
    if basis != "declared":
        length, basis = None if integrity is None else integrity.decoded_seconds, "counted"
    for measure, code in (("short", "FILE-SHORT"), ("long", "FILE-LONG")):
        message = f"The file lasts {length} s."
        yield from _judged(policy, measure, length, code, message, basis=basis)


def find_in_integrity(found: Integrity, policy: Policy) -> Iterator[Finding]:
    """Damage, and missing frames or bytes."""
    count = found.errors + found.damaged
    times = [error.time for stream in found.streams for error in stream.first_errors]
    first = min((time for time in times if time is not None), default=None)
    where = "" if first is None else f", the first at {first:.2f} s"
    message = f"{count} packets or frames are damaged{where}."
    yield from _judged(policy, "errors", count, "INT-ERRORS", message, first)
    skipped = found.skipped_bytes
    message = f"{skipped} bytes inside the file cannot be parsed."
    yield from _judged(policy, "skipped_bytes", skipped, "INT-SKIPPED", message)
    yield from _nothing(found, policy)
    yield from _missing_frames(found, policy)
    yield from _missing_end(found, policy)
    yield from _gaps(found, policy)
    yield from _cut(found, policy)
    wrong = sum(stream.unordered + stream.untimed for stream in found.streams)
    message = f"{wrong} packets or frames have a timestamp out of order, or none."
    yield from _judged(policy, "timestamps", wrong, "INT-TIMESTAMPS", message)
    message = "The file contains packets of streams that its header does not list."
    yield from _judged(policy, "unannounced", found.unannounced, "INT-UNANNOUNCED", message)
    apart = found.video_longer_by
    if apart is not None:
        later, earlier = ("video", "sound") if apart > 0 else ("sound", "video")
        message = f"The {later} ends {abs(apart):.2f} s after the {earlier}."
        yield from _judged(policy, "uneven", abs(apart), "AV-UNEVEN", message)


def _nothing(found: Integrity, policy: Policy) -> Iterator[Finding]:
    """Tracks that have a decoder and no frame."""
    for kind, word in (("video", "video"), ("audio", "sound")):
        tracks = [s for s in found.streams if s.type == kind and s.codec and not s.encrypted]
        if tracks and not any(track.frames for track in tracks):
            message = f"The {word} track is empty."
            yield from _condition_met(policy, f"empty_{kind}", "INT-EMPTY", message, "counted")


def _missing_end(found: Integrity, policy: Policy) -> Iterator[Finding]:
    """What headers declare and the file lacks: bytes, else time of a track, else of the file."""
    code, lost = "INT-TRUNCATED", found.missing_bytes
    message = f"The file is {lost} bytes shorter than its header declares."
    by_bytes = list(_judged(policy, "missing_bytes", lost, code, message, basis="declared"))
    yield from by_bytes
    worst = max(found.streams, key=lambda s: s.missing_end or 0.0, default=None)
    if worst is not None and worst.missing_end:
        end, short = worst.declared_end, worst.missing_end
        message = f"The {worst.type} ends {short:.2f} s before the end that its header declares."
        place = (None if end is None else round(end - short, 3), end)
        yield from _judged(policy, "missing_end", short, code, message, *place, basis="declared")
    elif found.container_missing and not by_bytes:
        end, short = found.container_seconds, found.container_missing
        message = f"All tracks end {short:.2f} s before the end that the container declares."
        yield from _judged(policy, "container_end", short, "INT-LENGTH", message, basis="declared")


def _cut(found: Integrity, policy: Policy) -> Iterator[Finding]:
    """Signs that a recording was cut or joined between frames."""
    if found.cut_off:
        message = "The file ends in the middle of a frame, like a recording that was cut."
        yield from _condition_met(policy, "cut_off", "INT-CUT-OFF", message, "counted")
    leading = sum(stream.leading for stream in found.streams if stream.type == "video")
    message = (
        f"The recording begins between key frames; its first {leading} pictures cannot be shown."
    )
    yield from _judged(policy, "leading", leading, "INT-LEADING", message)
    resets = max((stream.resets for stream in found.streams), key=len, default=[])
    times = "once" if len(resets) == 1 else f"{len(resets)} times"
    message = f"The timestamps of the recording restart {times}."
    yield from _judged(policy, "resets", len(resets), "INT-CLOCK", message, *resets[:1])


def _missing_frames(found: Integrity, policy: Policy) -> Iterator[Finding]:
    """One finding: that of the measure, count or share, with the worse severity."""
    share = round(found.missing / found.expected, 4) if found.expected else 0.0
    count, basis = found.missing, found.missing_basis
    about = "About " if basis == "estimated" else ""
    message = f"{about}{count} of {found.expected} frames are missing."
    code = "INT-FRAMES-MISSING"
    by_share = list(_judged(policy, "missing_share", share, code, message, basis=basis))
    by_count = list(_judged(policy, "missing_frames", count, code, message, basis=basis))
    order = list(Severity)
    yield from sorted(by_count + by_share, key=lambda f: -order.index(f.severity))[:1]


def _gaps(found: Integrity, policy: Policy) -> Iterator[Finding]:
    places = {stream.index: stream.gaps for stream in found.streams}
    for stream in found.streams:
        others = [gap for index in places if index != stream.index for gap in places[index]]
        for start, end in stream.gaps:
            length = round(end - start, 3)
            in_common = any(start < there and here < end for here, there in others)
            measure = "common_gap" if in_common else "gap"
            message = f"The {stream.type} has a gap of {length:.2f} s."
            yield from _judged(policy, measure, length, "INT-GAP", message, start, end)


def find_in_visual(
    found: Visual, policy: Policy, integrity: Integrity | None = None
) -> Iterator[Finding]:
    """What a viewer would notice."""
    if found.black is not None:
        yield from _stretches(policy, "black", "VIS-BLACK", "is black", found.black)
    if found.freeze is not None:
        # A black picture is frozen too, and so is the last one before a gap: report each once.
        reported = [*_reported_gaps(found.freeze, integrity, policy)]
        reported += found.black.ranges if found.black is not None else []
        ranges = [rest for stretch in found.freeze.ranges for rest in _without(stretch, reported)]
        moving = found.freeze.model_copy(update={"ranges": ranges})
        yield from _stretches(policy, "freeze", "VIS-FREEZE", "is frozen", moving)
    if found.blur is not None:
        yield from _stretches(policy, "blur", "VIS-BLUR", "is blurred", found.blur)
    if found.luma is not None:
        yield from _luma(found.luma, policy)
    if found.interlace is not None:
        yield from _interlace(found.interlace, policy)


def _reported_gaps(found: Stretches, integrity: Integrity | None, policy: Policy) -> Iterator[Span]:
    """The gaps of the assessed video stream that are findings themselves."""
    for stream in integrity.streams if integrity is not None else ():
        if stream.index == found.stream:
            yield from (g for g in stream.gaps if policy.judge("gap", g[1] - g[0]) is not None)


def _without(stretch: Span, reported: Sequence[Span]) -> Iterator[Span]:
    """The rest of a stretch without these, in pieces longer than `SHORTEST_REST`."""
    at, end = stretch
    for start, stop in sorted(reported):
        if start < end and at < stop:
            if start - at > SHORTEST_REST:
                yield at, start
            at = max(at, stop)
    if end - at > SHORTEST_REST:
        yield at, end


def _stretches(
    policy: Policy, measure: str, code: str, what: str, found: Stretches
) -> Iterator[Finding]:
    """A finding for each stretch, or one for the whole video if its share is large."""
    if f"{measure}_share" in policy.limits:
        # Many pictures that each stay for a while are a slide show; one long freeze is a fault.
        longest = found.share if found.longest_share is None else found.longest_share
        share = longest if measure == "freeze" else found.share
        message = f"{share:.0%} of the video {what}."
        whole = list(_judged(policy, f"{measure}_share", share, code, message))
        if whole:
            yield from whole
            return
    for start, end in found.ranges:
        length = round(end - start, 3)
        message = f"The picture {what} for {length:.2f} s."
        yield from _judged(policy, measure, length, code, message, start, end)


def _luma(found: Luma, policy: Policy) -> Iterator[Finding]:
    share = found.outside or 0.0
    message = f"{share:.1%} of the pixels are darker than black or brighter than white."
    yield from _judged(policy, "luma", found.outside, "VIS-LUMA", message)


def _interlace(found: Interlace, policy: Policy) -> Iterator[Finding]:
    first = "upper" if found.top_first > found.bottom_first else "lower"
    message = f"The video is interlaced, {first} lines first."
    yield from _judged(policy, "interlaced", found.share, "VIS-INTERLACED", message)


def find_in_audio(found: Audio, policy: Policy) -> Iterator[Finding]:
    """What a listener would notice."""
    if found.silence is not None:
        for start, end in found.silence.ranges:
            length = round(end - start, 3)
            message = f"The sound is silent for {length:.2f} s."
            yield from _judged(policy, "silence", length, "AUD-SILENCE", message, start, end)
    if found.loudness is not None:
        yield from _loudness(found.loudness, policy)
    if found.clipping is not None and found.clipping.ranges:
        total, first = found.clipping.seconds, found.clipping.ranges[0][0]
        message = f"The sound is clipped for {total:.2f} s in total, first at {first:.2f} s."
        yield from _judged(policy, "clipping", total, "AUD-CLIPPING", message, first)
    silent = [channel.name for channel in found.channels or [] if channel.silent]
    if silent and len(silent) < len(found.channels or []):
        message = f"Nothing can be heard from {_names(silent)}."
        yield from _condition_met(policy, "silent_channel", "AUD-CHANNEL", message)


def _names(channels: Sequence[str]) -> str:
    return f"channel{'s' if len(channels) > 1 else ''} {', '.join(channels)}"[:200]


def _loudness(found: Loudness, policy: Policy) -> Iterator[Finding]:
    message = f"The sound is {{}}: {found.integrated} LUFS."
    for measure in ("quiet", "loud"):
        text = message.format(measure)
        yield from _judged(policy, measure, found.integrated, "AUD-LOUDNESS", text)
    message = f"The sound peaks at {found.true_peak} dBTP."
    yield from _judged(policy, "true_peak", found.true_peak, "AUD-PEAK", message)
