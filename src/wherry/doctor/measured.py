"""What an examination has measured, as values; None is what could not be found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.doctor.recognition import Proxy

#: What measures.
DOCTOR, BROWSER = "wherry doctor", "browser"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`kind`: `page` (an answer), `reset` or `timeout`. `early`: before the body was sent."""

    status: int | None
    kind: str
    early: bool | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Limit:
    """Bytes of a request's body. `proof` of `passes`: `sent` or `announced`. `tried`: the largest
    body that was sent or announced."""

    passes: int | None = None
    refuses: int | None = None
    exact: bool = False
    proof: str | None = None
    sent: int = 0
    refusal: Refusal | None = None
    tried: int = 0


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds after which a request was ended: without a byte (`idle`), while its body came slowly
    (`whole`), while the server worked on its answer (`answer`). None: not within `watched`."""

    idle: float | None = None
    whole: float | None = None
    answer: float | None = None
    watched: float = 0.0


@dataclass(frozen=True, slots=True)
class Tls:
    used: bool = False
    version: str | None = None
    days_left: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Cors:
    origin: str | None = None
    on_answer: bool | None = None
    on_refusal: bool | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    bytes: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    url: str
    at: str
    version: str
    by: str = DOCTOR
    problem: str | None = None  #: Why the address cannot be reached.
    is_wherry: bool = False
    is_authorised: bool | None = None
    has_login: bool = False  #: Whether the requests carried a key.
    status: int | None = None  #: Of a small request.
    limit: Limit = field(default_factory=Limit)
    proxies: tuple[Proxy, ...] = ()  #: Recognised, the one that refuses first.
    buffers_request: bool | None = None
    buffers_answer: bool | None = None
    timers: Timers = field(default_factory=Timers)
    methods: Mapping[str, bool | None] = field(default_factory=dict)
    content_types: Mapping[str, bool | None] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    host_sent: str | None = None
    host_arrived: str | None = None
    chunked: bool | None = None
    trailers: bool | None = None
    interim: Mapping[str, str | None] = field(default_factory=dict)
    cors: Cors = field(default_factory=Cors)
    protocol: str | None = "http/1.1"  #: Of the requests, by its name in TLS (ALPN).
    http2: bool | None = None
    limit_over_2: int | None = None
    tls: Tls = field(default_factory=Tls)
    skew: float | None = None
    spent: Spent = field(default_factory=Spent)
