"""Decides whether a video passes, needs review or fails: named policies, read from TOML.

Rule 1: steps measure and know no policy; a policy judges and measures nothing. What a policy
does not name is not judged.

Rule 2: an invalid policy is refused when it is read, before anything is assessed by it.

    extends = "web"              # start from another policy; without it, from an empty one
    no_audio = "fail"            # a condition and its severity
    black = { warn = 1, fail = 10 }   # a measure and the thresholds of its severities
    freeze = {}                  # ignore
    video_codecs = { fail = ["h264", "hevc"] }   # the codecs that a track may have
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any


class Severity(Enum):
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


class Sense(Enum):
    """When a value reaches a threshold."""

    FROM = "from"  #: At the threshold and above it.
    ABOVE = "above"
    BELOW = "below"

    def reaches(self, value: float, threshold: float) -> bool:
        """Whether `value` counts against it."""
        if self is Sense.BELOW:
            return value < threshold
        return value > threshold or (self is Sense.FROM and value == threshold)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that a policy may judge."""

    sense: Sense
    meaning: str


#: Every measure; seconds, or a share of the whole from 0 to 1, unless it says otherwise.
MEASURES: Mapping[str, Measure] = {
    "short": Measure(Sense.BELOW, "seconds that the file lasts"),
    "long": Measure(Sense.ABOVE, "the same"),
    "small": Measure(Sense.BELOW, "pixels of the picture's shorter side"),
    "errors": Measure(Sense.ABOVE, "damaged packets and frames, and those that cannot be decoded"),
    "missing_frames": Measure(Sense.ABOVE, "missing video frames"),
    "missing_share": Measure(Sense.ABOVE, "the same as a share of all video frames"),
    "missing_end": Measure(Sense.ABOVE, "seconds by which a track ends before its declared end"),
    "container_end": Measure(
        Sense.ABOVE, "seconds by which all tracks end before the container's declared end"
    ),
    "missing_bytes": Measure(
        Sense.ABOVE, "bytes that the container announces and the file does not have"
    ),
    "skipped_bytes": Measure(
        Sense.ABOVE, "bytes within a transport stream or Ogg that belong to no packet"
    ),
    "leading": Measure(Sense.ABOVE, "pictures at the beginning that need earlier ones"),
    "resets": Measure(Sense.ABOVE, "how often the recording's clock was reset"),
    "timestamps": Measure(Sense.ABOVE, "packets and frames out of order, or without a time"),
    "unannounced": Measure(Sense.ABOVE, "packets of streams that the file does not announce"),
    "gap": Measure(Sense.ABOVE, "seconds without data in one stream"),
    "common_gap": Measure(Sense.ABOVE, "the same in two streams at the same time"),
    "uneven": Measure(Sense.ABOVE, "seconds between the ends of picture and sound"),
    "black": Measure(Sense.FROM, "seconds of continuous black"),
    "black_share": Measure(Sense.ABOVE, "share of the video that is black"),
    "freeze": Measure(Sense.FROM, "seconds of continuous freeze"),
    "freeze_share": Measure(Sense.ABOVE, "share of the longest freeze in the video"),
    "blur": Measure(Sense.FROM, "seconds of continuous blur"),
    "luma": Measure(Sense.ABOVE, "share of pixels outside the range from black to white"),
    "interlaced": Measure(Sense.ABOVE, "share of interlaced pictures"),
    "quiet": Measure(Sense.BELOW, "loudness of the whole programme in LUFS"),
    "loud": Measure(Sense.ABOVE, "loudness of the whole programme in LUFS"),
    "true_peak": Measure(Sense.ABOVE, "the highest true peak in dBTP"),
    "clipping": Measure(Sense.ABOVE, "total seconds of clipped sound"),
    "silence": Measure(Sense.FROM, "seconds of continuous silence"),
}
#: Every condition: it holds for a file or does not.
CONDITIONS: Mapping[str, str] = {
    "no_video": "there is no video",
    "no_audio": "there is no sound",
    "silent_channel": "one channel is silent and another is not",
    "cut_off": "a stream ends in the middle of a frame, as in a recording that was cut off",
    "encrypted": "picture or sound is encrypted and cannot be decoded",
    "empty_video": "the video track is empty",
    "empty_audio": "the audio track is empty",
    "unknown_track": "one track has no decoder, and another can be played",
    "not_media": "the file is neither video nor audio",
}
#: The codecs that tracks may have, by the type of the track. A built-in policy allows all.
CODECS: Mapping[str, str] = {"video_codecs": "video", "audio_codecs": "audio"}
BUILT_IN = ("web", "archive", "broadcast", "audio", "pictures")

Limits = Mapping[Severity, float]
Allowed = Mapping[Severity, tuple[str, ...]]


@dataclass(eq=False)
class PolicyError(ValueError):
    """A policy cannot be used: its name or path, and why."""

    policy: str
    problem: str

    def __str__(self) -> str:
        return f"policy {self.policy}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits for measures, severities for conditions, and codecs for types of tracks."""

    name: str
    limits: Mapping[str, Limits] = field(default_factory=dict)
    conditions: Mapping[str, Severity] = field(default_factory=dict)
    codecs: Mapping[str, Allowed] = field(default_factory=dict)

    def judge(self, measure: str, value: float) -> tuple[Severity, float] | None:
        """The severity and its threshold; None if no threshold is reached.

        Raises `KeyError` for a measure that is not in `MEASURES`.
        """
        sense, limits = MEASURES[measure].sense, self.limits.get(measure, {})
        for severity in (Severity.FAIL, Severity.WARN, Severity.INFO):
            threshold = limits.get(severity)
            if threshold is not None and sense.reaches(value, threshold):
                return severity, threshold
        return None

    def judge_codec(self, track: str, codec: str) -> tuple[Severity, tuple[str, ...]] | None:
        """The severity of this codec in a track of this type, and the codecs that it may have.

        None if it may have this one.
        """
        allowed = self.codecs.get(track, {})
        for severity in (Severity.FAIL, Severity.WARN, Severity.INFO):
            if codec not in (names := allowed.get(severity, (codec,))):
                return severity, names
        return None


def load_policy(policy: str) -> Policy:
    """The policy of this name, or from the file at this path. Raises `PolicyError`."""
    if policy in POLICIES:
        return POLICIES[policy]
    path = Path(policy)
    if path.suffix != ".toml":
        raise PolicyError(policy, f"it is neither {', '.join(BUILT_IN)} nor a file named *.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(policy, f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PolicyError(policy, "the file is not UTF-8") from None
    return parse_policy(policy, path.stem, text)


def parse_policy(source: str, name: str, text: str) -> Policy:
    """A policy from TOML; `source` is what an error calls it. Raises `PolicyError`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(source, f"it is no TOML: {error}") from None
    limits: dict[str, Limits] = {}
    conditions: dict[str, Severity] = {}
    codecs: dict[str, Allowed] = {}
    base = table.pop("extends", None)
    if base is not None:
        if base not in POLICIES:
            raise PolicyError(source, f"`extends` is one of {', '.join(BUILT_IN)}, not {base!r}")
        limits |= POLICIES[base].limits
        conditions |= POLICIES[base].conditions
    for key, value in table.items():
        if key in MEASURES:
            limits[key] = _parse_limits(source, key, value)
        elif key in CONDITIONS:
            conditions.pop(key, None)
            if value != {}:
                conditions[key] = _parse_severity(source, key, value)
        elif key in CODECS:
            codecs[CODECS[key]] = _parse_allowed(source, key, value)
        else:
            raise PolicyError(source, _unknown(key, (*MEASURES, *CONDITIONS, *CODECS, "extends")))
    return Policy(name, limits, conditions, codecs)


def _parse_limits(source: str, key: str, value: Any) -> Limits:
    if not isinstance(value, dict):
        raise PolicyError(source, f"`{key}` is a table, like {{ warn = 1.5 }}, not {value!r}")
    limits = {}
    for name, threshold in value.items():
        severity = _parse_severity(source, key, name)
        is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
        if not is_number or not math.isfinite(threshold):
            raise PolicyError(source, f"`{key}.{name}` is a number, not {threshold!r}")
        limits[severity] = float(threshold)
    return limits


def _parse_allowed(source: str, key: str, value: Any) -> Allowed:
    if not isinstance(value, dict):
        example = '{ fail = ["h264"] }'
        raise PolicyError(source, f"`{key}` is a table, like {example}, not {value!r}")
    allowed = {}
    for name, codecs in value.items():
        severity = _parse_severity(source, key, name)
        if not isinstance(codecs, list) or not all(isinstance(each, str) for each in codecs):
            raise PolicyError(source, f"`{key}.{name}` is a list of names, not {codecs!r}")
        allowed[severity] = tuple(codecs)
    return allowed


def _parse_severity(source: str, key: str, value: Any) -> Severity:
    try:
        return Severity(value)
    except ValueError:
        names = ", ".join(severity.value for severity in Severity)
        raise PolicyError(source, f"`{key}`: {value!r} is none of {names}") from None


def _unknown(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    return f"`{key}` is not known" + (f"; is `{near[0]}` meant?" if near else "")


POLICIES: dict[str, Policy] = {}
for _name in BUILT_IN:
    _text = (files(__package__) / "policies" / f"{_name}.toml").read_text(encoding="utf-8")
    POLICIES[_name] = parse_policy(_name, _name, _text)
