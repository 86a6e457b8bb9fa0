"""The shape of an `assessment.v1` document, and of what a step may put into it.

Rule 1: what a step says is believed in this shape only. A decoder that was taken
over can put wrong values into a report, but no other kinds of values.

Rule 2: within `assessment.v1`, fields may be added. None is removed or changes its meaning.

`assessment.v1.schema.json` beside this module is made from it:
`python -m wherry.assessment.schema`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from wherry.assessment.policy import Severity

SCHEMA = "assessment.v1"
FILE = Path(__file__).with_name(f"{SCHEMA}.schema.json")

Seconds: TypeAlias = float
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Span: TypeAlias = tuple[Seconds, Seconds]
#: What a statement rests on: a header, a guess from other numbers, or counting it all.
Basis: TypeAlias = Literal["declared", "estimated", "counted"]


class Model(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, extra="ignore", frozen=True)


# What the steps found.


class Stream(Model):
    """What the file says of one stream. Video and audio have fields of their own."""

    index: int
    type: str
    codec: str | None = Field(description="null: no decoder for it")
    profile: str | None = None
    encrypted: bool | None = Field(None, description="it cannot be decoded without a key")
    duration: Seconds | None = None
    duration_basis: Basis | None = None
    frames: int | None = Field(None, description="as declared")
    language: str | None = None
    default: bool | None = Field(None, description="marked as the default of its type")
    bit_rate: int | None = None
    width: int | None = None
    height: int | None = None
    display_width: int | None = Field(None, description="with square pixels, upright")
    display_height: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    sample_aspect_ratio: str | None = None
    frame_rate: float | None = None
    real_frame_rate: float | None = None
    colour_range: str | None = None
    colour_primaries: str | None = None
    colour_transfer: str | None = None
    colour_matrix: str | None = None
    hdr: str | None = Field(None, description="PQ, HLG or Dolby Vision")
    cover: bool | None = None
    sample_rate: int | None = None
    channels: int | None = None
    layout: str | None = None


class Probe(Model):
    """What the file says of itself."""

    container: str
    duration: Seconds | None
    duration_basis: Basis | None = None
    guessed: bool = Field(
        False, description="its first bytes match no known format, so the container may be wrong"
    )
    start: Seconds | None = None
    bit_rate: int | None = None
    faststart: bool | None = Field(
        None, description="the index lies before the media; null: another container than MP4"
    )
    tags: dict[str, str] = Field(default_factory=dict)
    timecode: str | None = None
    languages: list[str] = Field(default_factory=list)
    subtitles: Count = 0
    video_seconds: Seconds | None = Field(None, description="as declared")
    audio_seconds: Seconds | None = Field(None, description="as declared")
    rotation: int | None = Field(None, description="degrees counterclockwise")
    streams: list[Stream]


class Error(Model):
    time: Seconds | None
    message: str


class Decoded(Model):
    """What came of decoding one stream."""

    index: int
    type: str
    codec: str | None = None
    encrypted: bool = False
    packets: Count = 0
    frames: Count
    leading: Count = Field(
        0, description="pictures at the beginning that need earlier ones, which are missing"
    )
    missing: Count | None = None
    missing_basis: Basis | None = None
    errors: Count = 0
    damaged: Count = 0
    first_errors: list[Error]
    unordered: Count = Field(0, description="packets and frames that come before an earlier one")
    untimed: Count = Field(0, description="frames without a timestamp")
    gaps: list[Span]
    gap_count: Count = 0
    resets: list[Seconds] = Field(
        default_factory=list, description="where the timestamps of the recording restart"
    )
    declared_end: Seconds | None = Field(None, description="by the track's own header")
    missing_end: Seconds | None = Field(None, description="how much earlier it ends")
    start: Seconds | None = None
    end: Seconds | None = None


class Integrity(Model):
    """What came of decoding everything to its end."""

    errors: Count
    damaged: Count
    missing: Count
    missing_basis: Basis | None = None
    expected: Count
    declared_seconds: Seconds | None = Field(description="by the tracks' own headers")
    decoded_seconds: Seconds | None
    missing_seconds: Seconds
    container_seconds: Seconds | None = Field(
        None, description="by the container's header, if no track declares a length"
    )
    container_missing: Seconds | None = None
    missing_bytes: Count | None = Field(
        None, description="that the container declares beyond the end of the file"
    )
    skipped_bytes: Count | None = Field(
        None, description="of a transport stream or Ogg: within the file, and in no packet"
    )
    cut_off: bool | None = Field(None, description="a stream ends in the middle of a frame")
    video_longer_by: Seconds | None = Field(description="than the sound; negative: shorter")
    unreadable_from: str | None = Field(None, description="why reading stopped")
    unannounced: Count
    streams: list[Decoded]


class Stretches(Model):
    """Where something is so: at most 200 of `count` stretches are listed."""

    stream: int | None = Field(description="null: there is no such stream")
    ranges: list[Span]
    count: Count = 0
    seconds: Seconds = 0.0
    share: Share
    longest_share: Share | None = Field(None, description="of the longest stretch alone")


class Scenes(Model):
    count: Count
    cuts: list[Seconds] = Field(description="500 at most")


class Blur(Stretches):
    mean: float | None = Field(description="FFmpeg's measure; null: no edge found")


class Luma(Model):
    """Shares of the pixels outside of 5 to 246, as EBU R 103 has it: 16 is black, 235 white."""

    outside: Share | None = Field(description="on average")
    worst: Share | None = Field(description="in one picture")
    worst_time: Seconds | None


class Interlace(Model):
    """Pictures by kind, as they look; `declared` counts those that say they are interlaced."""

    top_first: Count
    bottom_first: Count
    progressive: Count
    declared: Count
    share: Share


class Visual(Model):
    stream: int | None = Field(default=None, description="the video stream that was assessed")
    black: Stretches | None = None
    freeze: Stretches | None = None
    scenes: Scenes | None = None
    blur: Blur | None = None
    luma: Luma | None = None
    interlace: Interlace | None = None


class Loudness(Model):
    """EBU R 128; null: nothing can be heard."""

    integrated: float | None = Field(description="LUFS")
    range: float | None = Field(description="LU")
    true_peak: float | None = Field(description="dBTP")


class LoudnessCurve(Model):
    """The loudness of each stretch of `every` seconds, from zero on; at most 600 of them."""

    every: Seconds = Field(gt=0)
    values: list[float | None] = Field(description="LUFS; null: nothing can be heard")


class Channel(Model):
    name: str
    peak: float | None = Field(description="dBFS; null: digital silence")
    silent: bool


class Track(Model):
    """A sound track that players do not choose by default."""

    stream: int
    loudness: Loudness
    silent: bool = Field(description="silent in every channel")


class Audio(Model):
    stream: int | None = Field(default=None, description="the track that was assessed")
    loudness: Loudness | None = None
    loudness_curve: LoudnessCurve | None = Field(
        default=None, description="null: nothing can be heard, or an earlier version assessed it"
    )
    silence: Stretches | None = None
    clipping: Stretches | None = None
    channels: list[Channel] | None = None
    others: list[Track] | None = Field(default=None, description="7 at most")


class Artefact(Model):
    """A picture, or what belongs to one; served beside the report."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}\.(jpg|png|vtt)$")
    kind: str = Field(
        description="poster, contact-sheet, storyboard, storyboard-index, waveform, or a "
        "custom step's word"
    )
    content_type: Literal["image/jpeg", "image/png", "text/vtt"]
    width: int | None = None
    height: int | None = None
    time: Seconds | None = None


# What is made of it.


class Finding(Model):
    """Something a person should know. Without `start` it is about the whole file."""

    code: str = Field(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)+$", max_length=40)
    severity: Severity
    message: str = Field(max_length=700)
    start: Seconds | None = None
    end: Seconds | None = None
    value: float | None = None
    threshold: float | None = None
    basis: Basis | None = None


class Source(Model):
    """What was uploaded."""

    filename: str
    size: int | None
    content_type: str | None
    digest: str


class StepFacts(Model):
    name: str
    state: Literal["done", "failed", "skipped"]
    seconds: float
    problem: dict[str, str] | None


class EngineFacts(Model):
    versions: dict[str, str]
    steps: list[StepFacts]
    confined: list[str]


class Report(Model):
    """An assessment's report. Times are seconds from the beginning of the video."""

    schema_: Literal["assessment.v1"] = Field(alias="schema")
    assessment_id: str
    upload_id: str
    created_at: float
    source: Source
    probe: Probe | None
    integrity: Integrity | None
    visual: Visual
    audio: Audio
    other: dict[str, dict[str, JsonValue]] = Field(description="custom steps, by name")
    artefacts: list[Artefact]
    findings: list[Finding]
    policy: str
    verdict: Literal["pass", "warn", "fail", "not-assessed"] = Field(
        description="not-assessed: the file is neither video nor sound, and the policy allows it"
    )
    engine: EngineFacts


def render_schema() -> str:
    """The JSON Schema of a report, as the file beside this module has it."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(render_schema(), encoding="utf-8")
