"""How large the next request may be: what the path to one origin lets through, and how fast.

Rule 1: no clock and no I/O, as in `plan`. The twin of chunkSize.ts.

Rule 2: a trial (a request larger than any that has passed) is at most twice what has passed, and
smaller than anything that was refused. Above `COMMON`, a refusal of it may cost at most one percent
of the bytes that this path carries.

Rule 3: until the speed of a path is known, one small chunk is sent at a time, whatever size passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from wherry.client.decisions import is_filtered
from wherry.client.errors import ClientError
from wherry.core.limits import KiB, MiB

#: No chunk is cut smaller (bytes).
FLOOR = 64 * KiB
#: The first chunk of a path of which the speed or what passes is unknown.
FIRST = 128 * KiB
#: The largest file that goes in one request there: chunks would need three more requests.
WHOLE = 512 * KiB
#: The smallest limit in wide use: nginx's default.
COMMON = MiB
#: What a refusal throws away, where the client notices the answer before the body is sent.
PIECE = 64 * KiB
#: The trial is made if the path carries this many times what its refusal throws away.
SHARE = 100
#: A request should take no longer (seconds). The first one is sent alone, and at most four at once
#: share the line after it: so none takes longer than five times this.
FAST = 5.0
#: A request that failed after this many seconds may have run into a proxy's timeout.
TIMER = 20.0
#: No proxy's timeout is shorter (seconds).
SOON = 2.0
#: The times of two failures are the same if they differ by less than this part.
ALIKE = 0.2
#: At most so many requests share the line (see `FAST`), so one should take this part of a timeout.
SHARERS = 5
#: No request counts as faster (seconds).
INSTANT = 0.001


@dataclass(slots=True)
class NetworkPath:
    """What is known of the path to one origin. Sizes in bytes.

    `passed`: the largest request that ever got through. `refused`: the smallest that was refused
    for its size. `pace`: the size that suits the speed; None until that is known. `carried`: how
    much has passed in all.
    `broke`: the seconds after which the last failed request failed. `timer`: those after which a
    proxy ends a request. `is_early`: an answer is noticed before the body is sent. `has_whole`: the
    server takes a whole file in one request; older ones have only chunks. `as_form`: a filter
    refuses raw bodies, so all of them are sent as forms. `report`: a refusal that the server does
    not know of yet.
    """

    passed: int = 0
    refused: int | None = None
    pace: int | None = None
    broke: float = 0.0
    timer: float = inf
    carried: int = 0
    is_early: bool = True
    has_whole: bool = True
    as_form: bool = False
    report: dict[str, int | str] | None = None


class ChunkSize:
    """How large a request may be, in bytes; learned while sending."""

    def __init__(
        self, path: NetworkPath | None = None, preferred: int = 5 * MiB, floor: int = FLOOR
    ) -> None:
        self.path = path or NetworkPath()
        self.preferred = preferred
        self.floor = floor

    def offered(self, preferred: int, floor: int) -> None:
        """Take the server's sizes; what was learned on the way stays."""
        self.preferred, self.floor = preferred, floor

    def told(self, passes: int | None, refuses: int | None) -> None:
        """Take what the server knows of the path, where this client has not seen otherwise."""
        path = self.path
        if passes is not None and (path.refused is None or passes < path.refused):
            path.passed = max(path.passed, passes)
        elif passes is not None and path.report is None:
            # The server knows of that refusal, and a larger request has passed since. Perhaps it
            # came another way, so it proves nothing here; but it is worth a trial.
            path.refused = None
        if refuses is not None and path.refused is None and refuses > path.passed:
            path.refused = refuses

    def now(self, left: int, first: int = FIRST) -> int:
        """How large the next request may be, if `left` bytes are to be sent.

        `first`: and if nothing is known of the path.
        """
        path = self.path
        most = min(self.preferred, first if path.pace is None else path.pace)
        size = min(max(first, self._on_grid(2 * path.passed)), most)
        if path.refused is not None and size >= path.refused:
            size = path.passed
        elif size > max(path.passed, COMMON) and not self._pays(size, left):
            size = max(path.passed, COMMON)
        return self._on_grid(min(size, most))

    def takes_whole(self, size: int) -> bool:
        """Whether to send a file of this size in one request."""
        return self.path.has_whole and size <= self.now(size, WHOLE)

    def is_proven(self, size: int) -> bool:
        return size <= self.path.passed

    @property
    def proven(self) -> int:
        """The largest size of a chunk that is sure to pass; 0 if there is none."""
        return self.path.passed // self.floor * self.floor

    def note_passed(self, size: int, seconds: float) -> None:
        path = self.path
        path.passed = max(path.passed, size)
        path.carried += size
        if seconds > path.timer:
            path.timer = inf
        fast = min(FAST, path.timer / SHARERS)
        suits = self._on_grid(int(size * fast / max(seconds, INSTANT)))
        if seconds > fast:
            path.pace = suits
        elif size >= self.floor:
            # Others share the line, so it is at least as fast as this.
            path.pace = max(path.pace or 0, suits)

    def note_refused(self, size: int, error: ClientError) -> bool:
        """The size was refused. False if no smaller one can be tried."""
        path = self.path
        if "code" not in error.facts:  # not Wherry's own refusal: Wherry cannot know of it
            named = {name: error.facts[name] for name in ("refused_by",) if name in error.facts}
            path.report = {"refused": size, **named}
        if self.is_proven(size):
            # The way has changed, so what was learned does not hold.
            path.passed, path.refused = 0, size
        path.refused = min(size, path.refused or size)
        return size > self.floor

    def note_failed(self, size: int, seconds: float) -> None:
        """A request that began after the last failure failed after so many seconds."""
        path = self.path
        before, path.broke = path.broke, seconds
        if seconds > TIMER:
            path.pace = self._on_grid(size // 2)
        elif seconds > SOON and abs(seconds - before) < before * ALIKE:
            path.timer = seconds
            path.pace = self._on_grid(size // SHARERS)

    def note_suspected(self, size: int, error: ClientError) -> bool:
        """A request failed although the server is there. True if that counts as a refusal for size.

        It does if no request of this size ever got through. A filter's page refuses the kind of the
        body, unless a smaller one has passed: from then on, bodies are forms. Raises its error if
        that does not help either.
        """
        if is_filter := is_filtered(error):
            if not self.path.as_form and (self.is_proven(size) or not self.path.passed):
                self.path.as_form = True
                return False
            if size <= self.floor:
                raise error
        refused = size > self.floor and (is_filter or not self.is_proven(size))
        if refused:
            self.note_refused(size, error)
        return refused

    def _pays(self, size: int, left: int) -> bool:
        """Whether to risk that a request of this size is refused."""
        thrown_away = PIECE if self.path.is_early else size
        return thrown_away * SHARE <= left + self.path.carried

    def _on_grid(self, size: int) -> int:
        return max(size // self.floor, 1) * self.floor
