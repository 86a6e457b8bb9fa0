"""Every setting, once: a sentence, a unit, a default.

Each can be given as an argument of `chunked_upload_router` or of
`wherry serve --name value`, or in the environment as `WHERRY_NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from wherry.core.limits import ENVELOPE, LARGEST, KiB, Limits, MiB, parse_size

#: Variables of ours that are not settings.
OTHER_VARIABLES = frozenset({"WHERRY_API_KEY"})
#: What Kubernetes adds to the environment for a service named `wherry`, or `wherry-…`.
OF_KUBERNETES = re.compile(r"WHERRY_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_\w+)?)")


def _parse_size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


#: A number of bytes; in text also with a unit: `5MiB`.
Bytes = Annotated[int, BeforeValidator(_parse_size), Field(ge=0, le=LARGEST)]
#: A hundred years: whatever is added to them is still a date. "Never" is None, where that is
#: possible, and no infinite number.
LONGEST = 100 * 365 * 24 * 3600.0
#: No number of uploads or requests is larger.
MANY = 1_000_000_000
#: Less is a loop that never rests.
SHORTEST = 0.001
Seconds = Annotated[float, Field(ge=SHORTEST, le=LONGEST, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Sizes in bytes, times in seconds; None (in text `none`) means no limit, or never."""

    model_config = SettingsConfigDict(env_prefix="WHERRY_", extra="forbid", frozen=True)

    data: Path = Field(default=Path("wherry-data"), description="The folder that holds all state.")
    durability: Literal["power-loss", "process-crash"] = Field(
        default="power-loss",
        description="What an acknowledged byte survives. `process-crash` syncs no file data: "
        "faster, and a power cut may lose what was acknowledged.",
    )

    max_size: Bytes | None = Field(default=None, description="The largest file that is accepted.")
    allowed_types: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Media types accepted, by content, like `video/*`; empty: all."
    )
    keep_files: Seconds | None = Field(
        default=None, description="How long a finished file is kept before it is deleted."
    )

    chunk_size: Bytes = Field(default=5 * MiB, description="The chunk size offered to clients.")
    min_chunk: Bytes = Field(
        default=64 * KiB, description="The smallest chunk; the last may be smaller."
    )
    max_chunk: Bytes = Field(default=64 * MiB, description="The largest chunk.")
    max_body: Bytes | Literal["host"] | None = Field(
        default=None,
        description="The largest body of one request, and what is offered as chunk size fits it. "
        "None: as large as a chunk or a file may be, whatever limit the application around has; "
        "`host`: that limit (FastAPI's `max_body_size`).",
    )
    chunk_timeout: Seconds = Field(
        default=60.0, description="A request that brings less than 64 KiB in this time is ended."
    )
    concurrency: int = Field(
        default=4, ge=1, le=MANY, description="Chunks a client may send at once."
    )

    max_open: int | None = Field(
        default=10,
        ge=1,
        le=MANY,
        description="Uploads open at once, in all; one whose client is gone counts for "
        "`slot_idle` longer.",
    )
    max_open_per_owner: int | None = Field(
        default=None, ge=1, le=MANY, description="The same for one owner."
    )
    max_reserved: Bytes | None = Field(
        default=None,
        description="Space for unfinished uploads, in all; beside it the disk's own limit.",
    )
    max_reserved_per_owner: Bytes | None = Field(
        default=None, description="The same for one owner."
    )
    min_free: Bytes = Field(
        default=256 * MiB, description="Disk space that is never promised to anybody."
    )
    max_waiting: int | None = Field(
        default=1000,
        ge=0,
        le=MANY,
        description="Uploads that may wait in the line for a place; more are refused.",
    )
    turn: Seconds = Field(
        default=60.0,
        description="An upload that was let in and sends nothing for this long gives its place "
        "to the next in the line.",
    )
    slot_idle: Seconds = Field(
        default=120.0,
        description="An upload without traffic for this long no longer counts as open.",
    )

    expires_after: Seconds = Field(
        default=24 * 3600.0,
        description="An unfinished upload is deleted this long after its last byte.",
    )
    keep_records: Seconds = Field(
        default=7 * 24 * 3600.0,
        description="How long it is remembered that an upload was cancelled, "
        "has expired or has failed.",
    )
    keep_complete_records: Seconds | None = Field(
        default=None,
        description="How long a complete upload is remembered, with its report, after its file "
        "was deleted or moved away. While its file is there it is never forgotten.",
    )
    sweep_every: Seconds = Field(
        default=60.0, description="How often is looked for what to delete."
    )
    completion_lease: Seconds = Field(
        default=10.0,
        description="A completion whose process is dead is taken up again after this time.",
    )
    answer_within: Seconds = Field(
        default=20.0, description="`complete` answers 202 if the hand-over takes longer."
    )
    hook_timeout: Seconds = Field(
        default=600.0,
        description="How long `before_complete` and `on_complete` may take. After this time a "
        "coroutine is cancelled; a function runs on, and clients are told that it is overdue.",
    )
    assessment: bool | None = Field(
        default=None,
        description="Whether finished files are assessed here; None: if the extra is installed.",
    )
    policy: str = Field(
        default="web",
        description="What judges assessments: `web`, `archive`, `broadcast`, `audio`, `pictures`, "
        "or the path of a file named *.toml.",
    )

    @classmethod
    def unknown_variables(cls, environment: Iterable[str]) -> list[str]:
        """A sentence for each variable that looks like a setting and is none."""
        prefix = cls.model_config["env_prefix"]
        known = {prefix + name.upper() for name in cls.model_fields} | OTHER_VARIABLES
        sentences = []
        for variable in sorted(environment):
            upper = variable.upper()
            if not upper.startswith(prefix) or upper in known or OF_KUBERNETES.fullmatch(upper):
                continue
            near = get_close_matches(upper, known, 1)
            meant = f" Did you mean {near[0]}?" if near else ""
            sentences.append(f"{variable} is not a setting and has no effect.{meant}")
        return sentences

    @model_validator(mode="before")
    @classmethod
    def _no_limit(cls, values: dict[str, object]) -> dict[str, object]:
        """In text, `none` is None."""
        return {k: None if v == "none" else v for k, v in values.items()}

    @field_validator("allowed_types", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """In the environment, types are separated by commas."""
        return (
            [t.strip() for t in value.split(",") if t.strip()] if isinstance(value, str) else value
        )

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        _ = self.limits
        if isinstance(self.max_body, int) and self.max_body < self.min_chunk + ENVELOPE:
            raise ValueError("max_body must have room for a form of 64 KiB around min_chunk")
        return self

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.__dataclass_fields__})
