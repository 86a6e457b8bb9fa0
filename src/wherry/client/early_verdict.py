"""The early verdict on a video: when to ask for it, and what the server says.

Rule 1: no clock and no I/O, as in `plan`. The twin of earlyVerdict.ts.

Rule 2: it is asked for when the bytes that it needs are acknowledged, and `MOST` times at most. The
upload never waits for it.

Rule 3: an upload that is nearly over does not ask: to look takes the server's processor, and there
is no time left to be saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wherry.core.limits import KiB
from wherry.core.ranges import Range

#: How often one upload asks.
MOST = 6
#: The verdict is of use while the rest takes at least so long (seconds).
LEAST_LEFT = 20.0
#: Of the beginning, at least this much must have arrived (bytes).
BEGINNING = 64 * KiB


@dataclass(frozen=True, slots=True)
class EarlyFinding:
    """`severity`: info, warn or fail. `code` and `message` are those of the report."""

    code: str
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class EarlyVerdict:
    """What the rest of the file cannot change.

    `verdict`: pass, warn, fail or not-assessed, by `policy`. That of the report may be worse.
    """

    verdict: str
    policy: str
    findings: tuple[EarlyFinding, ...] = ()


#: Is told the early verdict; returns True to stop the upload.
OnEarly = Callable[[EarlyVerdict], bool | None]


class EarlyQuestions:
    """When one upload asks for its early verdict."""

    def __init__(self, length: int, tail: int | None) -> None:
        """`tail`: how many bytes of the end the server wants second; None: it is not asked."""
        self._needs: tuple[Range, ...] = ()
        if tail:
            beginning = Range(0, min(BEGINNING, length))
            self._needs = (beginning, Range(max(length - tail, 0), length))
        self._left = MOST

    def is_due(self, is_safe: Callable[[Range], bool], seconds_left: float | None) -> bool:
        """Whether to ask now. The next question is due after the answer, if that wants one.

        `seconds_left`: until all is sent; None while nobody knows.
        """
        if seconds_left is None or seconds_left < LEAST_LEFT:
            return False
        if not self._needs or not self._left or not all(map(is_safe, self._needs)):
            return False
        self._needs = ()
        self._left -= 1
        return True

    def answered(self, answer: Mapping[str, Any]) -> EarlyVerdict | None:
        """The verdict; None if the server lacks bytes for it, or has none."""
        try:
            if answer["state"] == "known":
                return EarlyVerdict(
                    str(answer["verdict"]),
                    str(answer["policy"]),
                    tuple(
                        EarlyFinding(*(str(one[name]) for name in ("code", "severity", "message")))
                        for one in answer["findings"]
                    ),
                )
            if answer["state"] == "more":
                start, end = answer["needs"]
                self._needs = (Range(int(start), int(end)),)
        except (KeyError, TypeError, ValueError):
            pass  # whatever has answered, it is not this server: there is no early verdict
        return None
