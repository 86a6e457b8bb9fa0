"""What a run measured: medians and raw values, written to and read from a JSON file."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.measuring import Measurement
from bench.peers import Way

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
    "sockets MB": lambda m: m.socket_memory / MB,
    "slowest s": lambda m: m.slowest,
    "finishing ms": lambda m: None if m.finishing is None else m.finishing * 1000,
}


@dataclass
class Table:
    """All rows of one workload."""

    workload: str
    title: str
    figure: str
    rows: list[Row] = field(default_factory=list)

    def find(self, server: str, way: Way) -> Row | None:
        return next((r for r in self.rows if (r.server, r.way) == (server, way)), None)

    def ratio(self, row: Row) -> float | None:
        """The first figure of `row`, divided by that of tusd when it is sent the same way.

        Where tusd was measured in one way only, by that.
        """
        base = self.find(BASE, Way.ONE) or self.find(BASE, Way.CHUNKS) or self.find(BASE, Way.JOIN)
        mine = row.median(self.figure)
        other = base.median(self.figure) if base else None
        return mine / other if mine and other else None


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
                **{name: value for name, value in table.items() if name != "rows"},
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
