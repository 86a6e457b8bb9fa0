"""Every setting, once: a sentence, a unit, a default.

Each can be given as an argument of `chunked_upload_router` or of
`wherry serve --name value`, or in the environment as `WHERRY_NAME`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from wherry.core.limits import KiB, Limits, MiB

Bytes = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Sizes in bytes, times in seconds; None means no limit, or never."""

    model_config = SettingsConfigDict(env_prefix="WHERRY_", extra="forbid", frozen=True)

    data: Path = Field(Path("wherry-data"), description="The folder that holds all state.")
    durability: Literal["power-loss", "process-crash"] = Field(
        "power-loss",
        description="What an acknowledged byte survives. `process-crash` syncs no file data: "
        "faster, and a power cut may lose what was acknowledged.",
    )

    max_size: Bytes | None = Field(None, description="The largest file that is accepted.")
    allowed_types: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Media types accepted, by content, like `video/*`; empty: all."
    )
    keep_files: Seconds | None = Field(
        None, description="How long a finished file is kept before it is deleted."
    )

    chunk_size: Bytes = Field(5 * MiB, description="The chunk size offered to clients.")
    min_chunk: Bytes = Field(64 * KiB, description="The smallest chunk; the last may be smaller.")
    max_chunk: Bytes = Field(64 * MiB, description="The largest chunk.")
    chunk_timeout: Seconds = Field(
        60.0, description="A request that brings less than 64 KiB in this time is ended."
    )
    concurrency: int = Field(4, ge=1, description="Chunks a client may send at once.")

    max_open: int | None = Field(10, ge=1, description="Uploads open at once, in all.")
    max_open_per_owner: int | None = Field(None, ge=1, description="The same for one owner.")
    max_reserved: Bytes | None = Field(
        None, description="Space for unfinished uploads, in all; beside it the disk's own limit."
    )
    max_reserved_per_owner: Bytes | None = Field(None, description="The same for one owner.")
    min_free: Bytes = Field(256 * MiB, description="Disk space that is never promised to anybody.")
    slot_idle: Seconds = Field(
        120.0, description="An upload without traffic for this long no longer counts as open."
    )

    expires_after: Seconds = Field(
        24 * 3600.0, description="An unfinished upload is deleted this long after its last byte."
    )
    keep_records: Seconds = Field(
        7 * 24 * 3600.0,
        description="How long it is remembered that an upload was cancelled, "
        "has expired or has failed.",
    )
    sweep_every: Seconds = Field(60.0, description="How often is looked for what to delete.")
    completion_lease: Seconds = Field(
        10.0, description="A completion whose process is dead is taken up again after this time."
    )
    answer_within: Seconds = Field(
        20.0, description="`complete` answers 202 if the hand-over takes longer."
    )
    assessment: bool = Field(True, description="Whether finished files are assessed here.")

    @field_validator("allowed_types", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """In the environment, types are separated by commas."""
        return (
            [t.strip() for t in value.split(",") if t.strip()] if isinstance(value, str) else value
        )

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.__dataclass_fields__})
