"""The limits of uploads, and the checks that need only them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor

from wherry.core.errors import ChunkTooSmall, TooLarge
from wherry.core.ranges import Range
from wherry.core.rights import latest_end

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30

#: The largest size in bytes. The sum of two such numbers fits 64 bits.
LARGEST_SIZE = (1 << 62) - 1
#: How many bytes a form may have in addition to its file.
FORM_OVERHEAD = 64 * KiB


def parse_size(text: str) -> int:
    """A number of bytes, with or without a unit: KiB, MiB, GiB; KB, MB and GB mean the same.

    Raises `ValueError`.
    """
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = {"k": KiB, "m": MiB, "g": GiB}.get(number[-1:], 1)
    digits = (number[:-1] if unit > 1 else number).strip()
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{text!r} is not a size: write it like 5MiB or 5242880")
    return int(digits) * unit


#: The periods of a rate, in seconds.
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 24 * 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """So much in each period: `amount` is a number, or bytes; `period` is one of `PERIODS`."""

    amount: int
    period: str

    def __post_init__(self) -> None:
        """Raises `ValueError`."""
        if self.period not in PERIODS:
            raise ValueError(f"the period of a rate must be one of {', '.join(PERIODS)}")
        if not 1 <= self.amount <= LARGEST_SIZE:
            raise ValueError("the amount of a rate must be 1 or more")

    @property
    def seconds(self) -> int:
        return PERIODS[self.period]

    def __str__(self) -> str:
        return f"{self.amount}/{self.period}"

    def wait_for(self, missing: int) -> int:
        """After how many seconds `missing` more is free, at this rate; at least 1."""
        return max(1, min(-(-missing * self.seconds // self.amount), self.seconds))


def parse_rate(text: str, *, is_size: bool = False) -> Rate:
    """A rate like `60/hour`; with `is_size`, like `10GiB/day`. Raises `ValueError`."""
    amount, _, period = (part.strip() for part in text.partition("/"))
    try:
        number = parse_size(amount) if is_size else int(amount)
    except ValueError:
        number = 0
    if not (number and period):
        example = "10GiB/day" if is_size else "60/hour"
        raise ValueError(f"{text!r} is not a rate: write it like {example}")
    return Rate(number, period)


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a rate one owner has used: in a period, and in the one before it.

    Together, they are a window that slides: the more of the period has passed, the less counts of
    the one before. Periods have `seconds`, and numbers by the deadline clock.
    """

    seconds: int
    period: int
    amount: int = 0
    before: int = 0
    #: What the last change has taken. It is not recorded.
    taken: int = 0

    @property
    def expires_at(self) -> float:
        """From then on, nothing of it counts."""
        return float((self.period + 2) * self.seconds)

    def at(self, now: float) -> Used:
        """The same, seen at `now`."""
        period = int(now // self.seconds)
        # The clock of another process may be a little ahead, and its period has begun already.
        if period in (self.period, self.period - 1):
            return replace(self, taken=0)
        before = self.amount if period == self.period + 1 else 0
        return Used(self.seconds, period, before=before)

    def left(self, now: float) -> float:
        """How many seconds of the period are left."""
        return min((self.period + 1) * self.seconds - now, float(self.seconds))

    def take(self, least: int, most: int, limit: int, now: float) -> Used:
        """Take `most`, or what the limit leaves of it; nothing if that is less than `least`."""
        used = self.at(now)
        room = limit - used.amount - floor(used.before * used.left(now) / self.seconds)
        if room < least:
            return replace(self, taken=0)
        taken = min(most, room)
        return replace(used, amount=used.amount + taken, taken=taken)

    def give_back(self, amount: int) -> Used:
        """Without the last `amount`, which was taken in this period or in the one before."""
        now = min(amount, self.amount)
        before = max(self.before - (amount - now), 0)
        return replace(self, amount=self.amount - now, before=before, taken=0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; `None` means no limit. `settings.py` explains each.

    The settings of the same names take their defaults from here.
    """

    max_size: int | None = None
    chunk_size: int = 5 * MiB
    min_chunk: int = 64 * KiB
    max_chunk: int = 64 * MiB
    max_open: int | None = 10
    max_open_per_owner: int | None = None
    max_reserved: int | None = None
    max_reserved_per_owner: int | None = None
    min_free: int = 256 * MiB
    max_waiting: int | None = 1000
    slot_idle: float = 120.0
    turn: float = 60.0
    expires_after: float = 24 * 3600.0
    keep_records: float = 7 * 24 * 3600.0

    def __post_init__(self) -> None:
        """Raises `ValueError` for numbers that contradict each other."""
        if not 1 <= self.min_chunk <= self.chunk_size <= self.max_chunk:
            raise ValueError("the chunk sizes must be 1 <= min_chunk <= chunk_size <= max_chunk")

    def latest_slot_end(self, now: float) -> float:
        """The latest end that a slot can have, seen at `now`. A slot that ends later is over."""
        return latest_end(now, max(self.turn, self.slot_idle))

    def check_length(self, length: int) -> None:
        """Raises `TooLarge` for a file that is never accepted."""
        if self.max_size is not None and length > self.max_size:
            raise TooLarge(self.max_size, length)

    def check_chunk(self, chunk: Range, length: int | None) -> None:
        """Raises `ChunkTooSmall` or `TooLarge`. The last chunk of a file may be smaller."""
        if len(chunk) > self.max_chunk:
            raise TooLarge(self.max_chunk, len(chunk), scope="request")
        if len(chunk) < self.min_chunk and chunk.end != length:
            raise ChunkTooSmall(self.min_chunk, len(chunk))

    def chunk_size_for(self, wanted: int | None, most: int | None = None, part: int = 1) -> int:
        """The chunk size, in bytes, for a client that asks for `wanted` (None: for no size).

        `most`: the largest chunk that fits into one request, if an ingress limits that. It is
        never less than `min_chunk`, even if the request is then too large for the ingress.
        `part`: the size of the parts in which storage keeps the file. Where the limits allow it, a
        chunk is a whole number of parts.
        """
        most = self.max_chunk if most is None else min(most, self.max_chunk)
        size = max(min(wanted or self.chunk_size, most), self.min_chunk)
        if size >= part:
            whole = size // part * part
            return whole if whole >= self.min_chunk else size
        return part if wanted is None and part <= most else size
