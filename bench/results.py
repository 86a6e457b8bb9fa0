"""What a run measured: medians and raw values, written to and read from a JSON file."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.measuring import Measurement
from bench.peers import Way
from bench.workloads import Base

MB = 1_000_000
GB = 1_000_000_000

#: The server that ratios are given to.
BASE = "tusd"


@dataclass
class Row:
    """One server in one workload: its measurements, in the order of the rounds."""

    server: str
    way: Way
    measurements: list[Measurement] = field(default_factory=list)
    problem: str | None = None
    """Why a measurement is missing."""

    def median(self, figure: str) -> float | None:
        """`figure`: a property of this module's `FIGURES`. None without measurements."""
        values = [FIGURES[figure](measurement) for measurement in self.measurements]
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None


FIGURES: dict[str, Callable[[Measurement], float | None]] = {
    "MB/s": lambda m: m.bytes / m.seconds / MB,
    "files/s": lambda m: m.files / m.seconds,
    "seconds": lambda m: m.seconds,
    "CPU s/GB": lambda m: m.cpu_seconds / m.bytes * GB,
    "CPU ms/file": lambda m: m.cpu_seconds / m.files * 1000,
    "CPU s": lambda m: m.cpu_seconds,
    "driver CPU s/GB": lambda m: m.driver_cpu_seconds / m.bytes * GB,
    "memory MB": lambda m: m.peak_memory / MB,
    "with sockets MB": lambda m: (
        None if m.socket_memory is None else (m.peak_memory + m.socket_memory) / MB
    ),
    "slowest s": lambda m: m.slowest,
    "finishing ms": lambda m: None if m.finishing is None else m.finishing * 1000,
}


LESS_IS_BETTER = {"seconds", "CPU s", "finishing ms"}


@dataclass
class Table:
    """All rows of one workload."""

    workload: str
    title: str
    explanation: str
    figure: str
    base: Base
    rows: list[Row] = field(default_factory=list)

    def find(self, server: str, way: Way) -> Row | None:
        return next((row for row in self.rows if (row.server, row.way) == (server, way)), None)

    def ratio(self, row: Row) -> float | None:
        """The first figure of `row`, divided by that of `base`.

        The base tusd is measured in one request where there is such a row of it.
        """
        server = row.server if self.base is Base.ONE_REQUEST else BASE
        ways = [Way.ONE] if self.base is Base.ONE_REQUEST else [Way.ONE, Way.CHUNKS, Way.JOIN]
        base = next(filter(None, (self.find(server, way) for way in ways)), None)
        mine = row.median(self.figure)
        other = base.median(self.figure) if base else None
        return mine / other if mine and other else None

    def ranked(self) -> list[Row]:
        """The best first; what failed last."""
        sign = 1 if self.figure in LESS_IS_BETTER else -1

        def place(row: Row) -> float:
            value = row.median(self.figure)
            return math.inf if value is None else sign * value

        return sorted(self.rows, key=place)


@dataclass
class Results:
    """A whole run."""

    date: str
    machine: dict[str, str | int | float]
    rounds: int
    volume: float
    versions: dict[str, str]
    titles: dict[str, str]
    lacks: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    def write(self, path: Path) -> None:
        document = asdict(self)
        for table, shown in zip(self.tables, document["tables"], strict=True):
            for row, shown_row in zip(table.rows, shown["rows"], strict=True):
                medians = {figure: row.median(figure) for figure in FIGURES}
                shown_row["medians"] = {
                    figure: float(f"{value:.4g}")
                    for figure, value in medians.items()
                    if value is not None
                }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        document = json.loads(path.read_text())
        document["tables"] = [
            Table(
                table["workload"],
                table["title"],
                table["explanation"],
                table["figure"],
                Base(table["base"]),
                rows=[
                    Row(
                        row["server"],
                        Way(row["way"]),
                        [Measurement(**found) for found in row["measurements"]],
                        row["problem"],
                    )
                    for row in table["rows"]
                ],
            )
            for table in document["tables"]
        ]
        return cls(**document)
