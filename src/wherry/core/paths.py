"""What passes on the way to one public host, and what is refused there.

A *path* is what lies between clients and Wherry at a host: proxies, ingresses, load balancers,
filters. Wherry sees the bodies that pass. Of a body that is refused on the way it learns only what
clients report.

Rule 1: the same host may lead here by several ways: a second ingress, a call within the cluster, a
name that means another address inside. So a body that passes ends the reports of its own owner at
once, that bodies of its size or smaller ones are refused. It ends those of others when `QUORUM`
owners have passed such a body. What a quorum reports as refused is not told as what passes.

Rule 2: a report counts for its owner at once, and for others when `QUORUM` owners have reported.
Until then, clients of other owners try for themselves, which confirms the report or ends it. So
one owner can neither slow down the others nor undo what a quorum has found.

Rule 3: reports expire after a day, so that a widened ingress is noticed. What has passed expires
after a week in which no body of that size passed.

Rule 4: everything has a bound: hosts, reports of a host, the length of every text, and the size
that can be reported as refused. An owner is kept as a hash. Hosts beyond an owner's share give
their places to hosts of owners with fewer.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wherry.core.limits import LARGEST_SIZE, KiB

#: How many owners must report a refusal, or pass such a body, before it counts for all of them.
QUORUM = 3
#: How many hosts are remembered, and how many reports of each.
MOST_HOSTS, MOST_REPORTS = 100, 32
#: How many hosts an owner can bring and keep when there are `MOST_HOSTS`.
SHARE = 10
#: Clients send nothing smaller, but for the end of a file. So bodies below this size show nothing,
#: and no report of a smaller one can help. In bytes.
LEAST = 64 * KiB
#: How long reports and what has passed are remembered, in seconds.
KEEP_REPORTS, KEEP_PASSES = 24 * 3600.0, 7 * 24 * 3600.0
#: What is known already is recorded again after this time, in seconds.
RENEW_AFTER = 3600.0
#: When there are `MOST_HOSTS`, a new one replaces one that no body has reached for this long.
IDLE_AFTER = 24 * 3600.0

#: A host with its port, if it has one. Also an address of IPv6, in its brackets.
_HOST = re.compile(r"[a-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](:[0-9]{1,5})?")
_TOKEN = re.compile(r"[a-z0-9._/-]{1,40}")


def parse_host(text: str) -> str | None:
    """A host in lower case; None for a text that is none."""
    host = text.lower()
    return host if _HOST.fullmatch(host) else None


def parse_refused_by(text: str) -> str | None:
    """What a client calls the proxy that refused; None for a text that is no such name."""
    return text if _TOKEN.fullmatch(text) else None


def reporter_of(owner: str) -> str:
    """What stands for an owner in a report."""
    return hashlib.sha256(owner.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Passed:
    """A body of `size` bytes from this reporter has arrived at `at`, by the deadline clock."""

    reporter: str
    size: int
    at: float


@dataclass(frozen=True, slots=True)
class Report:
    """A client's word that a body of `size` bytes was refused on the way.

    `at`: when the report came, by the deadline clock. `passed`: the bytes of the body that brought
    it. `by`: what the client takes for the one who refused; empty if it cannot tell. `denied_by`:
    other owners, of whom a body of that size has passed since. `address`: of the API, as this
    client reaches it; empty if that is not known for certain.
    """

    reporter: str
    size: int
    at: float
    passed: int = 0
    by: str = ""
    denied_by: tuple[str, ...] = ()
    address: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether it can be true, and help: what it arrived in must be smaller."""
        return max(LEAST, self.passed + 1) <= self.size <= LARGEST_SIZE

    def after(self, body: Passed) -> Report | None:
        """The report when this body has passed; None: it is ended."""
        if body.size < self.size or body.reporter in self.denied_by:
            return self
        denied_by = (*self.denied_by, body.reporter)
        is_ended = body.reporter == self.reporter or len(denied_by) >= QUORUM
        return None if is_ended else replace(self, denied_by=denied_by)


Fact = Passed | Report


@dataclass(frozen=True, slots=True)
class PathLimits:
    """Bytes: the largest body that passes, and the smallest that is refused. None: not known."""

    passes: int | None
    refuses: int | None


@dataclass(frozen=True, slots=True)
class PathSummary:
    """A path as the operator sees it.

    `owners`: how many have reported that bodies are refused. `is_confirmed`: whether they are
    enough for all clients to be told `refuses`; otherwise, it is the smallest body of any report.
    `refused_at`, `passed_at`: by the deadline clock. `has_passed_since`: whether bodies of the
    reported sizes have arrived from other owners after each report. `address`: of the API, in the
    newest report that has one.
    """

    host: str
    passes: int | None
    passed_at: float | None
    refuses: int | None
    refused_at: float | None
    refused_by: str | None
    owners: int
    is_confirmed: bool
    has_passed_since: bool
    address: str | None


@dataclass(frozen=True, slots=True)
class Path:
    """What is known of the path to `host`. Times are by the deadline clock.

    `seen_at`: when a body came, to `RENEW_AFTER`. `passes`: the largest body; 0: none.
    `reports`: the oldest first, at most one of each reporter. `found_by`: the reporter of the first
    fact.
    """

    host: str
    seen_at: float
    passes: int = 0
    passed_at: float = 0.0
    reports: tuple[Report, ...] = ()
    found_by: str = ""

    def learn(self, fact: Fact) -> Path:
        """The path with one more fact. The same object if that is no news."""
        return self._passed(fact) if isinstance(fact, Passed) else self._reported(fact)

    def _passed(self, body: Passed) -> Path:
        if body.size < LEAST:
            return self
        path, now = self, body.at
        after = (report.after(body) for report in self._recent_reports(now))
        reports = tuple(report for report in after if report is not None)
        if reports != self.reports:
            path = replace(path, reports=reports)
        confirmed = _confirmed(reports)
        is_believed = confirmed is None or body.size < confirmed
        if is_believed and self._is_more(body):
            path = replace(path, passes=body.size, passed_at=now)
        if path is not self or not _is_recent(self.seen_at, now, RENEW_AFTER):
            path = replace(path, seen_at=now)
        return path

    def _is_more(self, body: Passed) -> bool:
        """Whether it shows more than what has passed before, or the same after some time."""
        if body.size == self.passes:
            return not _is_recent(self.passed_at, body.at, RENEW_AFTER)
        return body.size > self.passes or not _is_recent(self.passed_at, body.at, KEEP_PASSES)

    def _reported(self, report: Report) -> Path:
        if not report.is_possible:
            return self
        reports = self._recent_reports(report.at)
        before = next((each for each in reports if each.reporter == report.reporter), None)
        if before is not None and before.size <= report.size:
            return self  # nothing new, and not to be renewed: only the larger size was tried
        others = [each for each in reports if each is not before]
        path = replace(self, reports=(*others, report)[-MOST_REPORTS:])
        confirmed = _confirmed(path.reports)
        if confirmed is not None and path.passes >= confirmed:
            # The path has become narrower. Otherwise, the old size would be told again when the
            # reports have expired.
            path = replace(path, passes=path._passes_below(confirmed), passed_at=report.at)
        return path

    def limits_for(self, reporter: str, now: float) -> PathLimits:
        """What a client of this reporter is told.

        Reports that its own bodies have denied do not count for it.
        """
        reports = [each for each in self._recent_reports(now) if reporter not in each.denied_by]
        own = [report.size for report in reports if report.reporter == reporter]
        confirmed = _confirmed(reports)
        refuses = min((*own, *(() if confirmed is None else (confirmed,))), default=None)
        return PathLimits(self._passes_at(now, refuses), refuses)

    def summary(self, now: float) -> PathSummary:
        reports = self._recent_reports(now)
        confirmed = _confirmed(reports)
        least = min((report.size for report in reports), default=None)
        named = [report.by for report in reports if report.by]
        addresses = [report.address for report in reports if report.address]
        passes = self._passes_at(now, confirmed)
        return PathSummary(
            host=self.host,
            passes=passes,
            passed_at=self.passed_at if passes else None,
            refuses=least if confirmed is None else confirmed,
            refused_at=max((report.at for report in reports), default=None),
            refused_by=named[-1] if named else None,
            owners=len(reports),
            is_confirmed=confirmed is not None,
            has_passed_since=bool(reports) and all(report.denied_by for report in reports),
            address=addresses[-1] if addresses else None,
        )

    def is_over(self, now: float) -> bool:
        """Whether nothing is known of it any more."""
        is_old = not _is_recent(self.seen_at, now, KEEP_PASSES)
        is_old = is_old and not _is_recent(self.passed_at, now, KEEP_PASSES)
        return is_old and not self._recent_reports(now)

    def _recent_reports(self, now: float) -> tuple[Report, ...]:
        return tuple(each for each in self.reports if _is_recent(each.at, now, KEEP_REPORTS))

    def _passes_at(self, now: float, refuses: int | None) -> int | None:
        """What passes, for one who believes that `refuses` is refused."""
        passes = self.passes if _is_recent(self.passed_at, now, KEEP_PASSES) else 0
        if refuses is not None and passes >= refuses:
            passes = self._passes_below(refuses)
        return passes or None

    def _passes_below(self, refuses: int) -> int:
        """The largest body that has brought a report, and is smaller; 0: none."""
        passed = (report.passed for report in self.reports)
        return max((size for size in passed if LEAST <= size < refuses), default=0)


Paths = Mapping[str, Path]


def learn_all(paths: Paths, facts: Mapping[str, Sequence[Fact]], now: float) -> Paths:
    """The paths, by their hosts, with these facts. The same object if none of them is news."""
    learned = paths
    for host, of_host in facts.items():
        finder = next((fact.reporter for fact in of_host), "")
        path = before = learned.get(host) or Path(host, now, found_by=finder)
        for fact in of_host:
            path = path.learn(fact)
        if path is not before:
            learned = _with(learned, path, now)
    return learned


def without(paths: Paths, hosts: Iterable[str]) -> Paths:
    """The paths to all other hosts."""
    gone = set(hosts)
    return {host: path for host, path in paths.items() if host not in gone}


def _with(paths: Paths, path: Path, now: float) -> Paths:
    """The paths with this one; without it if there is no room for a new host."""
    kept = {host: each for host, each in paths.items() if not each.is_over(now)}
    if path.host not in kept and len(kept) >= MOST_HOSTS:
        replaced = _replaced_by(path, kept.values(), now)
        if replaced is None:
            return paths
        del kept[replaced.host]
    return {**kept, path.host: path}


def _replaced_by(path: Path, kept: Collection[Path], now: float) -> Path | None:
    """The path whose place this new one gets; None: none."""
    owners = Counter(each.found_by for each in kept)
    [(most, count)] = owners.most_common(1)
    if owners[path.found_by] < SHARE < count:
        kept = [each for each in kept if each.found_by == most]
        return min(kept, key=lambda each: each.seen_at)
    oldest = min(kept, key=lambda each: each.seen_at)
    return None if _is_recent(oldest.seen_at, now, IDLE_AFTER) else oldest


def _confirmed(reports: Iterable[Report]) -> int | None:
    """The smallest size that `QUORUM` owners say is refused; None: there is none."""
    sizes = sorted(report.size for report in reports)
    return sizes[QUORUM - 1] if len(sizes) >= QUORUM else None


def _is_recent(at: float, now: float, seconds: float) -> bool:
    """Whether it was less than `seconds` ago.

    A time far ahead is not: the clock was set back. A little ahead is usual, because each
    process of a server has its own clock.
    """
    return abs(now - at) < seconds
