"""What a monitoring system reads: gauges from the catalog, counters of events.

Rule 1: a gauge is true of all processes together. It is read at each scrape, and never
kept here.

Rule 2: an event is counted by the call that writes it to the log (`events.log_event`).
The two cannot disagree. What an event counts stands with the event (`Event`).

Rule 3: every router has its own registry, apart from that of the host application and
those of other routers.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from wherry import __version__
from wherry.catalog.counts import COUNTED, COUNTED_DELIVERIES, Counts
from wherry.core.admission import Space
from wherry.core.errors import every_error
from wherry.core.limits import KiB, MiB
from wherry.core.paths import QUORUM, PathSummary
from wherry.core.upload import UNFINISHED, State
from wherry.core.worker import Worker, WorkerState
from wherry.events import Event, Facts, Feed

#: What `Metrics.render` gives.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

#: Events that are counted from the first scrape on, so that an alert sees the first of them.
EVENTS: tuple[Event, ...] = tuple(event for event in Event if event.about.area.is_counted)

SIZES = (64 * KiB, 256 * KiB, *(n * MiB for n in (1, 2, 4, 5, 8, 16, 32, 64)))
#: Seconds in the queue.
WAITS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)


#: What gets a number, from which fact, and by which fact it is labelled.
_Given = tuple[Callable[[Any], Any], str | None, str | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read at a scrape.

    `at`: the time, by the deadline clock. `min_free`: bytes. `max_open`: None for no limit.
    `space`: None where there is no volume to fill. `leased`: how many assessments workers have.
    `paths`: to each public host.
    """

    at: float
    counts: Counts
    space: Space | None
    min_free: int
    max_open: int | None
    worker: Worker | None = None
    leased: int = 0
    paths: tuple[PathSummary, ...] = ()


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._by_name: dict[str, Counter | Histogram] = {}
        self._given: dict[Event, list[_Given]] = {}
        self._add_counter("events", "Events, as the log names them.", "event")
        self._add_counter("refusals", "Requests refused, by error code.", "code")
        self._add_counter(
            "freed_bytes",
            "Bytes freed: of uploads that ended without a file, or whose file was deleted.",
            "event",
        )
        self._add_histogram(
            "part_bytes",
            "New bytes made safe at once: a chunk, 16 to 64 MiB of a longer body, or the parts of "
            "one report. The sum is all bytes that were received.",
            SIZES,
        )
        self._add_counter(
            "direct_bytes",
            "Bytes of `wherry_part_bytes` that clients sent to the object store themselves.",
        )
        self._add_histogram(
            "part_seconds",
            "How long it took to make these bytes safe, from the first byte to the record.",
            SECONDS,
        )
        self._add_histogram(
            "waited_seconds", "How long uploads that had to wait were in the queue.", WAITS
        )
        self._add_histogram(
            "complete_seconds", "How long completion took, hooks included.", SECONDS
        )
        self._add_histogram(
            "hook_seconds", "How long the application's hooks took.", SECONDS, "hook"
        )
        self._begin_at_zero()

    def _add_counter(self, name: str, text: str, *labels: str) -> None:
        self._by_name[name] = Counter(f"wherry_{name}", text, labels, registry=self._registry)

    def _add_histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> None:
        self._by_name[name] = Histogram(
            f"wherry_{name}", text, labels, registry=self._registry, buckets=tuple(buckets)
        )

    def _begin_at_zero(self) -> None:
        """Show every series from the first scrape on. Raises `KeyError` for an unknown metric."""
        for hook in ("before_complete", "on_complete"):
            self._by_name["hook_seconds"].labels(hook)
        for error in every_error():
            self._by_name["refusals"].labels(error.code)
        for event in EVENTS:
            for feed in event.about.feeds:
                metric = self._by_name[feed.metric]
                if feed.label == "event":
                    metric.labels(event.label)

    def count(self, event: Event, facts: Facts) -> None:
        """Feed the metrics of an event that is being logged. Never raises for a missing fact."""
        given = self._given.get(event)
        if given is None:
            given = self._given[event] = [self._giver(feed, event) for feed in event.about.feeds]
        for give, fact, label in given:
            number = 1.0 if fact is None else _number(facts, fact)
            (give if label is None else give(str(facts.get(label))))(number)

    def _giver(self, feed: Feed, event: Event) -> _Given:
        """What gets the number of this fact; by the fact `label`, if it is labelled by one."""
        metric = self._by_name[feed.metric]
        if feed.label is None:
            return _adding(metric), feed.fact, None
        if feed.label == "event":
            return _adding(metric.labels(event.label)), feed.fact, None
        return (lambda value: _adding(metric.labels(value))), feed.fact, feed.label

    def collect(self, reading: Reading) -> Iterator[Metric]:
        """Every family of metrics. What only this process counted has the label `process`."""
        yield from _gauges(reading)
        process = process_name()
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={**sample.labels, "process": process})
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]
            yield family

    def render(self, reading: Reading) -> bytes:
        """The answer to a scrape, of the type `CONTENT_TYPE`."""
        return generate_latest(_Collected(tuple(self.collect(reading))))


@dataclass(frozen=True, slots=True)
class _Collected:
    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        return self.families


def process_name() -> str:
    """The name of this process among all that may answer at one address."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _adding(metric: Counter | Histogram) -> Callable[[float], None]:
    return metric.inc if isinstance(metric, Counter) else metric.observe


def _number(facts: Facts, name: str) -> float:
    """A fact that is a number, at least 0: a clock may have been set back meanwhile."""
    value = facts.get(name, 0)
    return max(float(value), 0.0) if isinstance(value, int | float) else 0.0


def _gauges(reading: Reading) -> Iterator[Metric]:
    counts, space, at = reading.counts, reading.space, reading.at
    max_open = float("inf") if reading.max_open is None else reading.max_open
    yield _gauge("build_info", "The version that answers.", {__version__: 1}, "version")
    yield _gauge(
        "uploads",
        "Unfinished uploads.",
        {state.value: counts.uploads.get(state, 0) for state in State if state in UNFINISHED},
        "state",
    )
    yield _gauge("open_slots", "Open uploads: those that hold a slot.", counts.open)
    yield _gauge("open_slots_limit", "How many uploads may be open at once (max_open).", max_open)
    yield _gauge("waiting", "Uploads in the queue.", counts.waiting)
    yield _gauge(
        "waiting_oldest_seconds",
        "How long the oldest upload in the queue has been there; 0 if the queue is empty.",
        _age(counts.waiting_since, at),
    )
    yield _gauge("reserved_bytes", "Space reserved for unfinished uploads.", counts.reserved)
    yield _gauge(
        "volume_size_bytes",
        "The size of the volume that holds the files; without a value in an object store.",
        {} if space is None else space.total,
    )
    yield _gauge(
        "volume_free_bytes",
        "Free on that volume, without the reserved space.",
        {} if space is None else space.free,
    )
    yield _gauge(
        "volume_min_free_bytes",
        "Never reserved for uploads (min_free).",
        reading.min_free,
    )
    yield _gauge(
        "assessments",
        "Assessments that are queued, running or failed.",
        {state.value: counts.assessments.get(state, 0) for state in COUNTED},
        "state",
    )
    yield _gauge(
        "assessments_leased",
        "Running assessments that a worker has now, wherever it runs. Others of the state running "
        "were left behind by a worker that died.",
        reading.leased,
    )
    yield _gauge(
        "webhooks",
        "Webhooks that are to be sent (pending), were given up (failed), or were answered 410 "
        "(gone).",
        {state.value: counts.deliveries.get(state, 0) for state in COUNTED_DELIVERIES},
        "state",
    )
    yield _gauge(
        "worker",
        "Whether the worker that assesses is starting, working or failing: 1 for its state. "
        "All 0 where nothing is assessed.",
        {
            state.value: reading.worker is not None and reading.worker.state is state
            for state in WorkerState
        },
        "state",
    )
    yield _gauge(
        "path_passes_bytes",
        "The largest body of a request that has arrived by way of a public host in the last week.",
        {each.host: each.passes for each in reading.paths if each.passes is not None},
        "host",
    )
    yield _gauge(
        "path_refuses_bytes",
        "The smallest body that a proxy in front of this host refuses, as clients report. Without "
        "a value for hosts of which no refusal is known.",
        {each.host: each.refuses for each in reading.paths if each.refuses is not None},
        "host",
    )
    yield _gauge(
        "path_owners_refused",
        "How many owners have reported a refusal in the last day. All clients are told of it when "
        f"{QUORUM} have.",
        {each.host: each.owners for each in reading.paths},
        "host",
    )
    yield _gauge(
        "assessments_oldest_queued_seconds",
        "How long the oldest queued assessment has waited; 0 if there is none.",
        _age(counts.queued_since, at),
    )


def _gauge(name: str, text: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    family = GaugeMetricFamily(f"wherry_{name}", text, labels=[label] if label else None)
    for key, number in (value if isinstance(value, Mapping) else {"": value}).items():
        family.add_metric([key] if label else [], number)
    return family


def _age(since: float | None, at: float) -> float:
    return 0.0 if since is None else max(at - since, 0.0)
