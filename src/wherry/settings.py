"""Every setting, once: a sentence, a unit, a default, a group.

Each can be given as an argument of `chunked_upload_router`, as an option of `wherry serve`
(`--name VALUE`), or in the environment as `WHERRY_NAME`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from wherry.core.limits import FORM_OVERHEAD, LARGEST_SIZE, Limits, Rate, parse_rate, parse_size
from wherry.core.place import Place

#: The settings as `--help` and the reference show them.
GROUPS = {
    "Data": (
        "data",
        "database",
        "durability",
        "storage",
        "s3_endpoint",
        "s3_public_endpoint",
        "s3_profile",
        "direct_uploads",
    ),
    "Files": ("max_size", "allowed_types", "keep_files"),
    "Requests": (
        "chunk_size",
        "min_chunk",
        "max_chunk",
        "max_body",
        "chunk_timeout",
        "concurrency",
        "max_requests",
        "processes",
        "front_ends",
        "interim_responses",
        "cors_origins",
    ),
    "Limits": (
        "max_open",
        "max_open_per_owner",
        "max_reserved",
        "max_reserved_per_owner",
        "min_free",
        "max_waiting",
        "turn",
        "slot_idle",
    ),
    "Rates": ("rate_uploads", "rate_bytes", "rate_requests"),
    "Lifetimes": ("expires_after", "keep_records", "keep_complete_records", "sweep_every"),
    "Stopping": ("grace_period", "stop_delay"),
    "Log": ("log_format", "log_level"),
    "Completion and hooks": ("completion_lease", "answer_within", "hook_timeout"),
    "Assessment": ("assessment", "policy", "run_worker", "worker_concurrency", "max_assessments"),
    "Guests": ("guests", "shared_reports", "shared_files"),
    "Page": ("page_fields", "page_keeps_files"),
    "Receipts": ("receipt_key",),
    "Webhooks": ("webhook_url", "webhook_secret", "webhook_allow_private"),
}
#: What a default without a value means, where it is not "no limit".
WITHOUT_VALUE = {
    "allowed_types": "all",
    "database": "SQLite in the data folder",
    "storage": "the data folder",
    "s3_endpoint": "Amazon S3",
    "s3_public_endpoint": "s3_endpoint",
    "s3_profile": "the usual chain: environment, default profile, role of the machine",
    "keep_files": "for ever",
    "keep_complete_records": "for ever",
    "cors_origins": "none",
    "max_body": "as large as a chunk or a file",
    "stop_delay": "as long as requests are in flight",
    "page_fields": "none",
    "receipt_key": "none",
    "webhook_url": "none",
    "webhook_secret": "none",
    "assessment": "if the extra `assessment` is installed",
}
#: Variables of ours that are not settings.
OTHER_VARIABLES = frozenset({"WHERRY_API_KEY"})
#: What Kubernetes adds to the environment for a service named `wherry`, or `wherry-…`.
OF_KUBERNETES = re.compile(r"WHERRY_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_\w+)?)")


def _parse_size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


#: A number of bytes; in text also with a unit: `5MiB`.
Bytes = Annotated[int, BeforeValidator(_parse_size), Field(ge=0, le=LARGEST_SIZE)]


def _parse_rate(value: object) -> object:
    return parse_rate(value) if isinstance(value, str) else value


def _parse_rate_of_bytes(value: object) -> object:
    return parse_rate(value, is_size=True) if isinstance(value, str) else value


#: A number in each period, like `60/hour`.
RateOfNumbers = Annotated[Rate | None, NoDecode, BeforeValidator(_parse_rate)]
#: Bytes in each period, like `10GiB/day`.
RateOfBytes = Annotated[Rate | None, NoDecode, BeforeValidator(_parse_rate_of_bytes)]
#: A hundred years: a date plus that is still a date. "Never" is None, where a setting allows it,
#: never an infinite number.
LONGEST = 100 * 365 * 24 * 3600.0
#: No number of uploads or requests is larger.
MANY = 1_000_000_000
#: With less, a loop would never rest.
SHORTEST = 0.001
Seconds = Annotated[float, Field(ge=SHORTEST, le=LONGEST, allow_inf_nan=False)]


#: What is also a field of `Limits` has its default there, and nowhere else.
DEFAULT = Limits()


class Settings(BaseSettings):
    """Sizes in bytes, times in seconds; None (in text `none`) means no limit, or never."""

    model_config = SettingsConfigDict(
        env_prefix="WHERRY_",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    data: Path = Field(
        default=Path("wherry-data"), description="The folder that holds all files and records."
    )
    database: str | None = Field(
        default=None,
        repr=False,  # it may contain a password
        description="The URL of a PostgreSQL database for all records, like "
        "`postgresql://user@host/name`. Any number of processes and machines may share it.",
    )
    durability: Literal["power-loss", "process-crash"] = Field(
        default="power-loss",
        description="What acknowledged bytes survive. `process-crash` syncs no file data: it is "
        "faster, and a power cut may lose acknowledged bytes.",
    )

    storage: str | None = Field(
        default=None,
        description="The bucket that keeps all files, like `s3://bucket/prefix`, in place of the "
        "data folder.",
    )
    s3_endpoint: str | None = Field(
        default=None,
        description="The address of an object store other than Amazon's, like "
        "`https://s3.example.org`.",
    )
    s3_public_endpoint: str | None = Field(
        default=None,
        description="The address at which clients reach the object store, where it is not that of "
        "`s3_endpoint`. Addresses of files and of parts are made with it.",
    )
    s3_profile: str | None = Field(
        default=None,
        description="The profile of `~/.aws` that has the credentials of the object store.",
    )
    direct_uploads: bool = Field(
        default=False,
        description="Whether clients may send the parts of a file to the object store themselves. "
        "They have to reach it, and for browsers, the bucket needs a CORS rule.",
    )

    max_size: Bytes | None = Field(
        default=DEFAULT.max_size, description="The largest file that is accepted."
    )
    allowed_types: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Media types that are accepted, like `video/*`, separated by commas. "
        "The content of a file decides, not its name. MXF is `application/mxf`.",
    )
    keep_files: Seconds | None = Field(
        default=None, description="How long a finished file is kept before it is deleted."
    )

    chunk_size: Bytes = Field(
        default=DEFAULT.chunk_size, description="The chunk size that is offered to clients."
    )
    min_chunk: Bytes = Field(
        default=DEFAULT.min_chunk,
        description="The smallest chunk. The last chunk of a file may be smaller.",
    )
    max_chunk: Bytes = Field(default=DEFAULT.max_chunk, description="The largest chunk.")
    max_body: Bytes | Literal["host"] | None = Field(
        default=None,
        description="The largest body of one request. It replaces the limit of the host "
        "application. Clients are offered a chunk size that fits. `host`: keep the host's own "
        "limit (FastAPI's `max_body_size`).",
    )
    chunk_timeout: Seconds = Field(
        default=60.0,
        description="A request that sends less than 64 KiB in this time is ended.",
    )
    concurrency: int = Field(
        default=4, ge=1, le=MANY, description="How many chunks a client may send at once."
    )

    max_requests: int | None = Field(
        default=500,
        ge=1,
        le=MANY,
        description="How many requests one process of the server works on at once. Further ones "
        "are refused at once, and clients repeat them a few seconds later.",
    )

    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many processes of `wherry serve` receive files, on one machine. Python "
        "uses little more than one processor in each.",
    )

    max_open: int | None = Field(
        default=DEFAULT.max_open,
        ge=1,
        le=MANY,
        description="How many uploads may be open at once, in all. After the client of an "
        "upload is gone, the upload counts as open for the time `slot_idle`.",
    )
    max_open_per_owner: int | None = Field(
        default=DEFAULT.max_open_per_owner,
        ge=1,
        le=MANY,
        description="How many uploads of one owner may be open at once.",
    )
    max_reserved: Bytes | None = Field(
        default=DEFAULT.max_reserved,
        description="Disk space for unfinished uploads, in all. The free space of the disk is a "
        "limit as well.",
    )
    max_reserved_per_owner: Bytes | None = Field(
        default=DEFAULT.max_reserved_per_owner,
        description="Disk space for unfinished uploads of one owner.",
    )
    min_free: Bytes = Field(
        default=DEFAULT.min_free, description="Disk space that uploads leave free."
    )
    max_waiting: int | None = Field(
        default=DEFAULT.max_waiting,
        ge=0,
        le=MANY,
        description="How many uploads may wait in the queue. Further ones are refused.",
    )
    turn: Seconds = Field(
        default=DEFAULT.turn,
        description="An admitted upload that sends nothing for this long gives its slot to the "
        "next one in the queue.",
    )
    slot_idle: Seconds = Field(
        default=DEFAULT.slot_idle,
        description="An upload without traffic for this long no longer counts as open.",
    )

    rate_uploads: RateOfNumbers = Field(
        default=None,
        description="How many uploads one owner may begin, like `60/hour`. Resuming one is free.",
    )
    rate_bytes: RateOfBytes = Field(
        default=None,
        description="How many bytes one owner may send, like `10GiB/day`. A request counts with "
        "the length that it announces, or else with the most that it may bring.",
    )
    rate_requests: RateOfNumbers = Field(
        default=None,
        description="How many requests one owner may make, like `600/minute`. Rates hold for all "
        "processes together.",
    )

    expires_after: Seconds = Field(
        default=DEFAULT.expires_after,
        description="An unfinished upload is deleted this long after its last byte.",
    )
    keep_records: Seconds = Field(
        default=DEFAULT.keep_records,
        description="How long the record of an upload that was cancelled, has expired or has "
        "failed is kept. Also that of a webhook that was delivered or given up.",
    )
    keep_complete_records: Seconds | None = Field(
        default=None,
        description="How long the record of a complete upload, with its report, is kept after "
        "its file was deleted or moved away. While the file is there, the record stays.",
    )
    sweep_every: Seconds = Field(default=60.0, description="How often the sweep runs.")
    grace_period: Seconds = Field(
        default=8.0,
        description="The server ends within this time after SIGTERM. Requests in flight may go on "
        "until two seconds before; then what has arrived is recorded. It must be shorter than the "
        "time after which the supervisor kills the process.",
    )
    stop_delay: Seconds | None = Field(
        default=None,
        description="How long `wherry serve` goes on accepting connections after SIGTERM, also "
        "without requests in flight. It answers them 503 until the load balancer sends no more.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="How `wherry serve` and `wherry worker` write their log: as text, or as one "
        "JSON object a line. An application configures its own log.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level of their own lines."
    )
    completion_lease: Seconds = Field(
        default=10.0,
        description="A completion whose process died is resumed after this time.",
    )
    answer_within: Seconds = Field(
        default=20.0,
        description="`complete` answers 202 if completing the upload with `before_complete` and "
        "`on_complete` takes longer. Without these hooks, completing is one commit, and `complete` "
        "answers when it is done.",
    )
    hook_timeout: Seconds = Field(
        default=600.0,
        description="How long `before_complete` and `on_complete` may take. After this time a "
        "coroutine is cancelled. A plain function continues, and clients get `hook-failed`.",
    )
    assessment: bool | None = Field(
        default=None, description="Whether Wherry assesses finished files."
    )
    policy: str = Field(
        default="web",
        description="What judges assessments: `web`, `archive`, `broadcast`, `audio`, "
        "`pictures`, or the path of a TOML file.",
    )
    run_worker: bool = Field(
        default=True,
        description="Whether one of the servers keeps a worker running. Turn it off where you "
        "run `wherry worker` yourself.",
    )
    worker_concurrency: int = Field(
        default=1, ge=1, le=MANY, description="How many files a worker assesses at once."
    )
    max_assessments: int | None = Field(
        default=None,
        ge=1,
        le=MANY,
        description="How many files are assessed at once, by all workers together.",
    )

    front_ends: bool = Field(
        default=False,
        description="Whether pages with Resumable.js, Flow.js, Dropzone or FilePond may upload, at "
        "`/chunked-upload/resumable`, `/dropzone` and `/filepond`.",
    )
    interim_responses: Literal["direct", "always", "never"] = Field(
        default="direct",
        description="Which clients of the IETF protocol get a 104 (Upload Resumption Supported): "
        "`direct`, those whose requests no proxy has marked; `always`, all of them, once `wherry "
        "doctor` has shown that your proxies pass a 104 on; `never`.",
    )

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The sites whose pages may upload to `wherry serve` from a browser (CORS), "
        "like `https://app.example.org`, separated by commas; `*` is every site. They need an API "
        "key or a ticket. An application has its own middleware for that.",
    )

    guests: bool = Field(
        default=False,
        description="Whether owners may make tickets, by which guests without a login upload into "
        "their space.",
    )
    shared_reports: bool = Field(
        default=False,
        description="Whether owners may make links that show the report of an upload to whoever "
        "has the link, without a login.",
    )
    shared_files: bool = Field(
        default=False,
        description="Whether such a link may show the file of the upload, too, if its owner says "
        "so. Only with `shared_reports`.",
    )

    page_fields: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The details that the page asks for before it uploads a file, such as "
        "`Title,Project`. They become metadata with these names.",
    )
    page_keeps_files: bool = Field(
        default=True,
        description="Whether the page may keep files in its user's browser until their uploads are "
        "over, so that they continue by themselves after a reload.",
    )

    receipt_key: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="The file with the private key that signs receipts, in PEM. Several, separated "
        "by commas: the first one signs, and all are published, to replace one by another.",
    )

    webhook_url: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        repr=False,  # a path may be a secret
        description="Where webhooks are sent to: one URL, or several, separated by commas.",
    )
    webhook_secret: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        repr=False,
        description="The secret that signs webhooks, `whsec_` and 24 to 64 bytes in base64. Set "
        "WHERRY_WEBHOOK_SECRET in the environment: other users of the machine can read options. "
        "Several, separated by commas, sign each webhook several times, to replace one by another.",
    )
    webhook_allow_private: bool = Field(
        default=False,
        description="Whether webhooks may go to private addresses, those of this machine and of "
        "its network included.",
    )

    @classmethod
    def unknown_variables(cls, environment: Iterable[str]) -> list[str]:
        """A sentence for each variable that is named like a setting and is not one."""
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

    @field_validator(
        "page_fields",
        "receipt_key",
        "webhook_url",
        "webhook_secret",
        "cors_origins",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        """In text, they are separated by commas; `none` is an empty list."""
        if isinstance(value, str):
            return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        return () if value is None else value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            _ = parts.port  # raises for a port that is none
            is_origin = parts.scheme in ("http", "https") and parts.hostname
            if origin != "*" and not (is_origin and origin == f"{parts.scheme}://{parts.netloc}"):
                raise ValueError(
                    "each origin must be like https://app.example.org, without a slash at its end"
                )
            if parts.username is not None or origin != origin.lower():
                raise ValueError("an origin is in lower case, and has no credentials")
        return origins

    @field_validator("webhook_url")
    @classmethod
    def _check_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            _ = parts.port  # raises for a port that is none
            is_plain = url.isascii() and url.isprintable() and " " not in url
            has_host = parts.scheme in ("http", "https") and parts.hostname
            if not is_plain or not has_host or parts.username is not None or parts.fragment:
                raise ValueError(
                    "each URL must be like https://example.org/hook, without credentials, in ASCII"
                )
        return urls

    @field_validator("webhook_secret")
    @classmethod
    def _check_secrets(cls, secrets: tuple[str, ...]) -> tuple[str, ...]:
        for secret in secrets:
            prefix, encoded = secret[:6], secret[6:]
            try:
                length = len(b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
            except ValueError:
                length = 0
            if prefix != "whsec_" or not 24 <= length <= 64:
                raise ValueError(
                    "a secret is whsec_ and 24 to 64 bytes in base64; this command makes one: "
                    'echo "whsec_$(openssl rand -base64 32)"'
                )
        return secrets

    @model_validator(mode="after")
    def _check_storage(self) -> Self:
        if self.storage is not None:
            Place.parse(self.storage)
        else:
            if self.s3_endpoint is not None or self.s3_profile is not None:
                raise ValueError("s3_endpoint and s3_profile need storage, like s3://bucket/prefix")
            if self.direct_uploads or self.s3_public_endpoint is not None:
                raise ValueError(
                    "direct_uploads and s3_public_endpoint need an object store: set storage, like "
                    "s3://bucket/prefix. Files in the data folder can come only through Wherry"
                )
        for name in ("s3_endpoint", "s3_public_endpoint"):
            url = urlsplit(getattr(self, name) or "https://none")
            if url.scheme not in ("http", "https") or not url.hostname or url.username is not None:
                raise ValueError(
                    f"{name} must be an address like https://s3.example.org, without credentials"
                )
        return self

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        _ = self.limits
        if isinstance(self.max_body, int) and self.max_body < self.min_chunk + FORM_OVERHEAD:
            raise ValueError("max_body must have room for min_chunk and a form of 64 KiB around it")
        if self.stop_delay is not None and self.stop_delay > self.grace_period:
            raise ValueError("stop_delay must not be longer than grace_period")
        return self

    def check_webhooks(self) -> None:
        """Raises `ValueError` for webhooks that could not be signed.

        The worker has no secret: it records webhooks, and does not send them.
        """
        if self.webhook_url and not self.webhook_secret:
            raise ValueError(
                "webhook_url needs webhook_secret, by which receivers verify webhooks. Set "
                'WHERRY_WEBHOOK_SECRET to the output of: echo "whsec_$(openssl rand -base64 32)"'
            )

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.__dataclass_fields__})
