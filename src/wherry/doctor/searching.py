"""How the largest body that passes is searched: which size to try next. Pure but for its questions.

Most proxies refuse a body for the length that is announced, before its bytes are sent. So lengths
are announced first, from far above downwards, which costs no bytes. Some proxies look at the bytes
alone. So the largest size that was not refused is sent as well, as far as the bytes may be spent.

Rule 1: limits are round numbers, of which there are few. These are tried first, and then whether
the next byte is refused.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from wherry.core.limits import GiB, KiB, MiB

#: Above this, no limit is looked for.
TOP = 5 * GiB
#: The largest body that is sent to see whether it passes.
LARGEST_SENT = 8 * MiB

#: Limits in wide use, in bytes.
KNOWN = tuple(
    sorted(
        {
            *(n * KiB for n in (1, 4, 8, 16, 32, 64, 100, 128, 200, 256, 500, 512, 768, 800)),
            *(n * 1000 for n in (8, 64, 100, 128, 250, 256, 500, 512, 750)),
            *(n * MiB for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 25, 28, 30, 32)),
            *(n * MiB for n in (40, 48, 50, 60, 64, 75, 80, 100, 128, 150, 200, 250, 256, 300)),
            *(n * MiB for n in (400, 500, 512, 600, 700, 750, 800, 1000)),
            *(n * 10**6 for n in (1, 2, 3, 4, 5, 6, 8, 10, 15, 16, 20, 25, 30, 32, 50, 60, 64)),
            *(n * 10**6 for n in (100, 128, 150, 200, 250, 256, 300, 400, 500, 512, 600, 800)),
            *(n * GiB for n in (1, 2, 3, 4, 5)),
            *(n * 10**9 for n in (1, 2, 4, 5)),
            4_500_000,
            int(4.5 * MiB),
        }
    )
)


class Outcome(Enum):
    PASSED = auto()  #: All of it arrived behind the proxy.
    REFUSED = auto()  #: For its size, by somebody in front.
    OPEN = auto()  #: Not refused, as far as it was sent.
    UNKNOWN = auto()  #: Something else came in between.


@dataclass(frozen=True, slots=True)
class Found:
    """`sent`: the largest body that arrived. `open`: the largest that was not refused when it was
    announced. `refuses`: the smallest that was refused; None: none was."""

    sent: int
    open: int
    refuses: int | None

    @property
    def passes(self) -> int:
        return max(self.sent, self.open)

    @property
    def is_exact(self) -> bool:
        return self.refuses is not None and self.refuses == self.passes + 1


#: Tries a size in bytes.
Try = Callable[[int], Outcome]


def search(announce: Try, send: Try, affordable: Callable[[], int]) -> Found:
    """`affordable`: how large a body may still be sent, in bytes."""
    opened, refused = 0, None
    match announce(TOP):
        case Outcome.REFUSED:
            opened, refused = narrow(0, TOP, announce)
        case Outcome.OPEN | Outcome.PASSED:
            opened = TOP
    return _sending(opened, refused, send, affordable)


def _sending(opened: int, refused: int | None, send: Try, affordable: Callable[[], int]) -> Found:
    """What passes of sizes that are not refused when they are announced."""
    sent = 0
    for step in (16 * KiB, 1 * MiB, LARGEST_SENT):
        size = min(step, affordable(), opened or step)
        if size <= sent:
            continue
        outcome = send(size)
        if outcome is Outcome.PASSED:
            sent = size
        elif outcome is Outcome.REFUSED:

            def tries(size: int) -> Outcome:
                return send(size) if size <= affordable() else Outcome.UNKNOWN

            sent, refused = narrow(sent, size, tries)
            return Found(sent, sent, refused)
        elif outcome is Outcome.UNKNOWN:
            return Found(sent, sent, refused)  # what was announced is not borne out by anything
        else:
            break
    return Found(sent, opened, refused)


def narrow(low: int, high: int, tries: Try) -> tuple[int, int]:
    """From a size that passes and one that is refused to ones that are close, or neighbours.

    It ends where a size cannot be tried.
    """
    while (between := _known_between(low, high)) is not None:
        match tries(between):
            case Outcome.REFUSED:
                high = between
            case Outcome.UNKNOWN:
                return low, high
            case _:
                low = between
    if low and high > low + 1:
        match tries(low + 1):
            case Outcome.REFUSED:
                return low, low + 1
            case Outcome.UNKNOWN:
                return low, high
            case _:
                low += 1
    while high - low > max(low // 50, 1):
        middle = (low + high) // 2
        match tries(middle):
            case Outcome.REFUSED:
                high = middle
            case Outcome.UNKNOWN:
                break
            case _:
                low = middle
    return low, high


def _known_between(low: int, high: int) -> int | None:
    """The middle one of the known limits between two sizes."""
    first, last = bisect_right(KNOWN, low), bisect_left(KNOWN, high)
    return KNOWN[(first + last) // 2] if first < last else None
