"""What this process knows of paths: what passes on the way to each public host.

Rule 1: a chunk pays for no transaction. What is learned is used here at once, and recorded each
second, all of it in one change. What is known already costs a comparison.

Rule 2: what other processes have learned is read every `READ_EVERY` seconds.

Rule 3: none of this makes a request fail. What cannot be recorded is tried again; it is a hint, and
may be lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wherry.core.errors import NotThere, UploadError
from wherry.core.paths import (
    LEAST,
    MOST_HOSTS,
    MOST_REPORTS,
    Fact,
    Passed,
    Path,
    PathLimits,
    Paths,
    PathSummary,
    Report,
    learn_all,
    reporter_of,
    without,
)
from wherry.core.requests import Caller
from wherry.engine.context import Context
from wherry.events import Event

#: How often what other processes have recorded is read, in seconds.
READ_EVERY = 5.0
#: How often a host's limit is logged at most, in seconds.
LOG_EVERY = 60.0
#: The limit of a host of which no refusal is known.
NO_LIMIT = (None, False)
#: How many facts of one host wait to be recorded at most.
MOST_FACTS = 2 * MOST_REPORTS


class KnownPaths:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._paths: Paths = {}
        self._new: dict[str, list[Fact]] = {}
        self._read_at = float("-inf")
        # For the log, by host: the limit that it has, and when it was logged. And the hosts whose
        # limit may have changed since.
        self._logged: dict[str, tuple[int | None, bool]] = {}
        self._logged_at: dict[str, float] = {}
        self._to_log: set[str] = set()

    def passed(self, caller: Caller, host: str, size: int) -> None:
        """A body of `size` bytes has arrived."""
        if size >= LEAST:
            self._learn(host, Passed(reporter_of(caller.owner), size, self._context.clock()))

    def refused(
        self, caller: Caller, host: str, size: int, *, by: str, passed: int, address: str
    ) -> None:
        """A client says that a body of `size` bytes was refused on the way, and one of `passed`
        bytes has brought this report. `address`: see `Report`."""
        reporter, now = reporter_of(caller.owner), self._context.clock()
        report = Report(reporter, size, now, passed, by, address=address)
        if report.is_possible:
            self._learn(host, report)

    def limits(self, caller: Caller, host: str) -> PathLimits | None:
        """What is known, for this caller; None: nothing."""
        if (path := self._paths.get(host)) is None:
            return None
        limits = path.limits_for(reporter_of(caller.owner), self._context.clock())
        return None if limits == PathLimits(None, None) else limits

    async def summaries(self, caller: Caller) -> list[PathSummary]:
        """All that is recorded, by host. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        now, paths = self._context.clock(), await self._context.catalog.paths()
        return [path.summary(now) for _, path in sorted(paths.items())]

    async def forget(self, caller: Caller, hosts: Iterable[str]) -> frozenset[str]:
        """Forget what is recorded of these hosts; those of which something was.

        Running servers know it for up to `READ_EVERY` seconds more. Raises `NotThere` but for
        operators.
        """
        if not caller.operator:
            raise NotThere
        gone = frozenset(hosts)
        known = gone & (await self._context.catalog.paths()).keys()
        await self._context.catalog.update_paths(lambda paths: without(paths, gone))
        return known

    async def keep(self) -> None:
        """Record what is new, and read what others have recorded. Raises `UploadError`."""
        catalog, now = self._context.catalog, self._context.clock()
        if self._new:
            new, self._new = self._new, {}
            try:
                paths = await catalog.update_paths(lambda known: learn_all(known, new, now))
            except UploadError:
                self._new = _joined(new, self._new)
                raise
            self._to_log.update(new)
            self._take(paths, now)
        elif abs(now - self._read_at) >= READ_EVERY:
            self._take(await catalog.paths(), now)
        self._log(now)

    def _learn(self, host: str, fact: Fact) -> None:
        """Keep it if it is news, and there is room for it."""
        learned = learn_all(self._paths, {host: [fact]}, fact.at)
        waiting = self._new.get(host, [])
        if learned is self._paths or len(waiting) >= MOST_FACTS or len(self._new) >= MOST_HOSTS:
            return
        self._paths = learned
        before = waiting[-1] if waiting else None
        if (
            isinstance(fact, Passed)
            and isinstance(before, Passed)
            and fact.reporter == before.reporter
        ):
            fact = replace(fact, size=max(fact.size, waiting.pop().size))
        self._new[host] = [*waiting, fact]

    def _take(self, paths: Paths, now: float) -> None:
        """Go on with what is recorded, and with what came meanwhile."""
        for host, path in paths.items():
            if host not in self._to_log and host not in self._new:
                self._logged[host] = _limit(path, now)  # another process has logged it
        self._paths, self._read_at = learn_all(paths, self._new, now), now
        for known in (self._logged, self._logged_at):
            for host in known.keys() - self._paths.keys():
                del known[host]

    def _log(self, now: float) -> None:
        """Log each limit that has become known to this process, or has changed."""
        for host in tuple(self._to_log):
            if abs(now - self._logged_at.get(host, float("-inf"))) < LOG_EVERY:
                continue  # later
            self._to_log.discard(host)
            path = self._paths.get(host)
            if path is None or (limit := _limit(path, now)) == self._logged.get(host, NO_LIMIT):
                continue
            self._logged[host], self._logged_at[host] = limit, now
            found = path.summary(now)
            if found.refuses is None:
                self._context.log_event(Event.PATH_WIDER, host=host, passes=found.passes)
                continue
            self._context.log_event(
                Event.PATH_NARROW,
                host=host,
                passes=found.passes,
                refuses=found.refuses,
                refused_by=found.refused_by,
                owners=found.owners,
                command=f"wherry doctor {found.address or 'ADDRESS'}",
            )


def _limit(path: Path, now: float) -> tuple[int | None, bool]:
    found = path.summary(now)
    return found.refuses, found.is_confirmed


def _joined(first: dict[str, list[Fact]], then: dict[str, list[Fact]]) -> dict[str, list[Fact]]:
    hosts = list(dict.fromkeys((*first, *then)))[:MOST_HOSTS]
    return {host: (first.get(host, []) + then.get(host, []))[-MOST_FACTS:] for host in hosts}
