"""Simulates admission at many uploads a minute, by the code that decides in a server.

    .venv/bin/python -m bench.admission [--per-minute 100000] [--seconds 60]

The queue (`core/admission.py`) and every change of an upload (`core/upload.py`) are the real ones.
The clock, the disk and the clients are simulated, so it takes seconds, and no server.

First it measures how long one decision takes, in CPU time, by how many uploads wait. Then it
simulates three loads: the slots suffice, they suffice for four fifths of the uploads, and the
same with the default `max_waiting`. One owner sends a fifth of all uploads. After each step, it
counts the open uploads and reserved bytes anew, and stops with an error if a limit is exceeded.

A step takes half a second and makes one decision for all uploads that came meanwhile, as a server
does while a decision runs. A new upload that fits at once is decided by the same method.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from wherry.core.admission import Entry, OpenUpload, Queue, Taken
from wherry.core.limits import GiB, Limits, MiB
from wherry.core.ranges import Part, Range
from wherry.core.upload import HOLDS_SPACE, State, Upload

STEP = 0.5
OWNERS = 1_000
GREEDY = "greedy"
#: Size, the share of all uploads, and how long a client sends it, in seconds.
KINDS = ((5 * MiB, 0.90, 4.0), (100 * MiB, 0.09, 10.0), (2 * GiB, 0.01, 40.0))
LARGE = KINDS[-1][0]
MEAN_SECONDS = sum(share * seconds for _, share, seconds in KINDS)
MEAN_BYTES_SECONDS = sum(size * share * seconds for size, share, seconds in KINDS)
#: This share of the clients sends nothing when it is admitted, and so misses its turn.
SILENT = 0.01
TURN = 10.0
#: A simulation that has not ended after as many steps has a fault.
MAX_STEPS = 20_000


class LimitExceeded(Exception):
    """More is open or reserved than the settings allow."""


def limits_for(per_minute: int, capacity: float, max_waiting: int | None) -> Limits:
    """Limits under which `capacity` times this load is admitted, by slots and by bytes."""
    per_second = per_minute / 60 * capacity
    # Slots and space of an upload are given again in the step after the one in which it ends. A
    # client that sends nothing holds both for its turn.
    idle = STEP + SILENT * TURN
    mean_bytes = sum(size * share for size, share, _ in KINDS)
    max_reserved = int(per_second * (MEAN_BYTES_SECONDS + mean_bytes * idle) * 1.1)
    max_open = max(int(per_second * (MEAN_SECONDS + idle)), 1)
    return Limits(
        max_open=max_open,
        max_open_per_owner=-(-max_open // 4),
        # At a low rate, the largest file still has to fit, or it would be refused.
        max_reserved=max(max_reserved, 2 * LARGE),
        max_waiting=max_waiting,
        turn=TURN,
        min_free=0,
    )


@dataclass(slots=True)
class Client:
    """One client with one upload."""

    upload: Upload
    seconds: float
    is_silent: bool
    waited: float | None = None

    @property
    def kind(self) -> str:
        """By whom it is, and whether it is large."""
        owner = "greedy owner" if self.upload.owner == GREEDY else "other owners"
        return f"{owner}, {'2 GiB' if self.upload.limit == LARGE else 'up to 100 MiB'}"

    def wants(self) -> Entry:
        upload = self.upload
        return Entry(upload.id, upload.owner, upload.queued_at or 0.0, upload.limit)

    def admit(self, now: float) -> None:
        since = self.upload.queued_at or 0.0
        self.upload = self.upload.admit(now, now + TURN)
        self.waited = now - since

    def act(self, now: float, limits: Limits) -> None:
        """Send, and complete the upload once the time for it is over; or let the turn pass."""
        upload = self.upload
        if self.is_silent:
            self.upload = upload.forfeit(now)
        elif now >= upload.began_at + self.seconds:
            whole = Range(0, upload.limit)
            upload = upload.lease(whole, upload.id, now)
            upload = upload.record(upload.id, (Part(whole.start, whole.end, 0, now),))
            self.upload = upload.complete_at_once(now, None)
        else:
            self.upload = upload.keep_slot(now, limits)


@dataclass
class Simulation:
    """Clients arrive evenly for `seconds`; it ends when the last upload has ended."""

    per_minute: int
    seconds: float
    limits: Limits
    seed: int = 1
    now: float = 0.0
    waiting: dict[str, Client] = field(default_factory=dict)
    admitted: dict[str, Client] = field(default_factory=dict)
    ended: list[Client] = field(default_factory=list)
    refused: int = 0
    most_waiting: int = 0
    most_open: int = 0
    most_reserved: int = 0
    decisions: list[float] = field(default_factory=list)
    """How long each took, in seconds of CPU time."""

    def run(self) -> None:
        """Raises `LimitExceeded`."""
        arrivals = self._arrivals()
        coming = next(arrivals, None)
        for number in range(MAX_STEPS):
            self.now = number * STEP
            while coming is not None and coming.upload.created_at <= self.now:
                self._enter(coming)
                coming = next(arrivals, None)
            self._send()
            self._decide()
            self.check()
            if coming is None and not self.waiting and not self.admitted:
                return
        raise RuntimeError(f"{len(self.waiting)} uploads still wait after {self.now:.0f} s")

    def _arrivals(self) -> Iterator[Client]:
        chance = random.Random(self.seed)  # noqa: S311
        sizes, shares = [kind[0] for kind in KINDS], [kind[1] for kind in KINDS]
        lasts = {size: seconds for size, _, seconds in KINDS}
        for number in range(int(self.per_minute * self.seconds / 60)):
            owner = GREEDY if chance.random() < 0.2 else f"owner-{chance.randrange(OWNERS)}"
            (size,) = chance.choices(sizes, shares)
            at = number * 60 / self.per_minute
            upload = Upload(
                f"{number:08}", owner, "film.mp4", size, size, created_at=at, state=State.WAITING
            )
            yield Client(upload, lasts[size] * chance.uniform(0.5, 1.5), chance.random() < SILENT)

    def _enter(self, client: Client) -> None:
        most = self.limits.max_waiting
        if most is not None and len(self.waiting) >= most:
            self.refused += 1
            return
        client.upload = client.upload.enter_queue(client.upload.created_at)
        self.waiting[client.upload.id] = client
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def _send(self) -> None:
        for upload_id, client in list(self.admitted.items()):
            client.act(self.now, self.limits)
            if client.upload.state not in HOLDS_SPACE:
                self.ended.append(self.admitted.pop(upload_id))

    def queue(self) -> Queue:
        """The queue as the catalog reads it."""
        open_now, reserved = Counter[str](), Counter[str]()
        for client in self.admitted.values():
            open_now[client.upload.owner] += self._is_open(client)
            reserved[client.upload.owner] += client.upload.limit
        return Queue(
            tuple(client.wants() for client in self.waiting.values()),
            {owner: Taken(open_now[owner], held) for owner, held in reserved.items()},
            (),
            tuple(
                OpenUpload(client.upload.owner, client.upload.limit, client.upload.began_at)
                for client in self.admitted.values()
                if self._is_open(client)
            ),
        )

    def _is_open(self, client: Client) -> bool:
        return client.upload.is_open(self.now, self.limits.latest_slot_end(self.now))

    def _decide(self) -> None:
        queue = self.queue()
        begun = time.process_time()
        chosen = queue.admissible(self.limits, None, self.now)
        if queue.entries:
            self.decisions.append(time.process_time() - begun)
        for entry in chosen:
            client = self.waiting.pop(entry.upload_id)
            client.admit(self.now)
            self.admitted[entry.upload_id] = client

    def check(self) -> None:
        """Count what is open and reserved from the uploads. Raises `LimitExceeded`."""
        limits = self.limits
        of_one = Counter(c.upload.owner for c in self.admitted.values() if self._is_open(c))
        open_now = of_one.total()
        reserved = sum(client.upload.limit for client in self.admitted.values())
        for what, found, most in (
            ("uploads are open", open_now, limits.max_open),
            ("of one owner are open", max(of_one.values(), default=0), limits.max_open_per_owner),
            ("bytes are reserved", reserved, limits.max_reserved),
            ("uploads wait", len(self.waiting), limits.max_waiting),
        ):
            if most is not None and found > most:
                raise LimitExceeded(f"at {self.now:.1f} s, {found} {what}; the limit is {most}")
        self.most_open = max(self.most_open, open_now)
        self.most_reserved = max(self.most_reserved, reserved)

    def waits(self) -> dict[str, list[float]]:
        """How long the admitted uploads waited, in seconds, by kind."""
        found: dict[str, list[float]] = {}
        for client in self.ended:
            if client.waited is not None:
                found.setdefault(client.kind, []).append(client.waited)
        return dict(sorted(found.items()))

    def report(self) -> str:
        """What happened, as Markdown."""
        ends = Counter(client.upload.state.value for client in self.ended)
        missed = ends[State.EXPIRED.value]
        lines = [
            f"- {ends[State.COMPLETE.value]:,} complete, {missed:,} missed their turn, "
            f"{self.refused:,} refused; over after {self.now:.0f} s",
            f"- open: at most {self.most_open:,} of {self.limits.max_open:,}; "
            f"reserved: at most {self.most_reserved / GiB:,.0f} of "
            f"{(self.limits.max_reserved or 0) / GiB:,.0f} GiB",
            f"- waiting: at most {self.most_waiting:,}",
        ]
        if self.decisions:
            lines.append(
                f"- a decision: median {statistics.median(self.decisions) * 1e3:.1f} ms, "
                f"at most {max(self.decisions) * 1e3:.1f} ms of CPU time"
            )
        lines += ["", "| who | uploads | waits: median | p99 | longest |", "|---|---|---|---|---|"]
        for kind, waits in self.waits().items():
            waits.sort()
            p99 = waits[int(len(waits) * 0.99)]
            row = " | ".join(f"{s:.1f} s" for s in (statistics.median(waits), p99, waits[-1]))
            lines.append(f"| {kind} | {len(waits):,} | {row} |")
        return "\n".join(lines)


def cpu_ms(act: Callable[[], object], times: int) -> float:
    """The CPU time of one call in milliseconds: the least of `times`."""
    took = []
    for _ in range(times):
        begun = time.process_time()
        act()
        took.append(time.process_time() - begun)
    return min(took) * 1e3


def busy_queue(waiting: int, opened: int, owners: int) -> Queue:
    """A queue in which every owner has as many uploads as every other."""
    counts = Counter(f"owner-{n % owners}" for n in range(opened))
    return Queue(
        tuple(Entry(f"{n:08}", f"owner-{n % owners}", n / 1e3, 5 * MiB) for n in range(waiting)),
        {owner: Taken(count, count * 5 * MiB) for owner, count in counts.items()},
        (),
        tuple(OpenUpload(f"owner-{n % owners}", 5 * MiB, 0.0) for n in range(opened)),
    )


def print_decisions(opened: int = 10_000) -> None:
    """How long the decision takes, by the length of the queue, and by the number of owners."""
    print(f"CPU time with {opened:,} open uploads of {OWNERS:,} owners:\n")
    print("| waiting | no slot is free | 1,000 slots are free | no space | positions |")
    print("|---|---|---|---|---|")
    for waiting in (10, 1_000, 100_000):
        queue, times = busy_queue(waiting, opened, OWNERS), 3 if waiting > 10_000 else 10
        # No upload can be admitted, and the space that comes free is not enough for any.
        short = Limits(max_open=None, max_reserved=0)
        took = [
            cpu_ms(partial(queue.admissible, Limits(max_open=opened)), times),
            cpu_ms(partial(queue.admissible, Limits(max_open=opened + 1_000)), times),
            cpu_ms(partial(queue.admissible, short), times),
            cpu_ms(queue.positions, times),
        ]
        print(f"| {waiting:,} | {' | '.join(f'{ms:.2f} ms' for ms in took)} |")
    print("\nA new upload that finds no queue:\n")
    print("| owners with an open upload | CPU time |\n|---|---|")
    for owners in (10, 1_000, 100_000):
        queue, new = busy_queue(0, owners, owners), Entry("new", "owner-0", 1.0, 5 * MiB)
        took_ms = cpu_ms(partial(queue.admits, new, Limits(max_open=None), None, 1.0), 5)
        print(f"| {owners:,} | {took_ms:.3f} ms |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate admission at many uploads a minute.")
    parser.add_argument("--per-minute", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    print_decisions()
    for capacity, max_waiting in ((1.25, None), (0.8, None), (0.8, Limits().max_waiting)):
        limits = limits_for(args.per_minute, capacity, max_waiting)
        simulation = Simulation(args.per_minute, args.seconds, limits)
        most = "no limit" if max_waiting is None else f"{max_waiting:,}"
        print(
            f"\n{args.per_minute:,} uploads a minute for {args.seconds:.0f} s, slots and space for "
            f"{capacity:.0%} of them, max_waiting: {most}\n"
        )
        simulation.run()
        print(simulation.report())


if __name__ == "__main__":
    main()
