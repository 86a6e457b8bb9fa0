"""Writes the results into the repository: JSON, tables and the plot.

Rule 1: a text between two markers is replaced, and nothing else of a page.
"""

from __future__ import annotations

from pathlib import Path

from bench.goals import render_goals
from bench.peers import Way
from bench.plot import render_plot
from bench.results import Results, Table
from bench.tables import render_figure, render_machine, render_table
from bench.workloads import WORKLOADS, Base

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
README = ROOT / "README.md"
PLOT = ROOT / "docs" / "performance.svg"
BEGIN = "<!-- Made by `make bench`: begin -->"
END = "<!-- Made by `make bench`: end -->"

#: The rows of the table in the README, and its columns: a server and a way.
HEADLINE_WORKLOADS = ("a", "b", "d", "f", "c", "c-disk")
HEADLINE_SERVERS = {
    "Wherry `power-loss`": "wherry/power-loss",
    "Wherry `process-crash`": "wherry/process-crash",
    "router on stock uvicorn, `process-crash`": "wherry/process-crash/router",
    "C server": "c",
}

#: What stands above the goals.
GOALS_ARE = (
    "What Wherry aims at; ratios are of speed unless the line names something else. "
    "[Where the time goes](#where-the-time-goes) explains each goal that was missed."
)


class NotPublished(Exception):
    """The results are not those of all workloads; the text says which are missing."""


def publish(results: Results) -> None:
    """Write JSON, page, README and plot. Raises `NotPublished`."""
    missing = {workload.key for workload in WORKLOADS} - {
        table.workload for table in results.tables
    }
    if missing or not any(table.find("tusd", Way.CHUNKS) for table in results.tables):
        what = ", ".join(sorted(missing)) or "tusd"
        raise NotPublished(f"nothing was published, because this run lacks: {what}")
    results.write(RESULTS / f"{results.date}.json")
    replace_between(PAGE, render_page(results))
    replace_between(README, render_headline(results))
    PLOT.write_text(render_plot(results))


def replace_between(page: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace what is between the markers of a page. Raises `ValueError` if it has none."""
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no markers")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def render_page(results: Results) -> str:
    """The part of the page on performance with the figures."""
    parts = [render_machine(results), f"### Goals\n\n{GOALS_ARE}", render_goals(results)]
    for table in results.tables:
        parts += [
            f"### {table.workload}: {table.title}",
            table.explanation,
            render_table(table, results) if table.rows else "Not measured.",
        ]
    return "\n\n".join(parts)


def render_headline(results: Results) -> str:
    """The most important ratios, and where Wherry is slower than tusd."""
    tables = {table.workload: table for table in results.tables}
    rows = [f"| × tusd | {' | '.join(HEADLINE_SERVERS)} |", "|---|---|---|---|---|"]
    slower = []
    for key in HEADLINE_WORKLOADS:
        table = tables[key]
        ratios = [_find_ratio(table, server) for server in HEADLINE_SERVERS.values()]
        cells = ["–" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        rows.append(f"| {table.title} | {' | '.join(cells)} |")
        if (ratio := ratios[0]) is not None and ratio < 1:
            slower.append(table.title)
    text = "\n".join(rows)
    if slower:
        text += f"\n\n**With `power-loss`, Wherry is slower than tusd at:** {'; '.join(slower)}."
    if finishing := _compare_finishing(tables.get("finish-2048")):
        text += f"\n\n{finishing}"
    if results.volume != 1:
        text += f"\n\nReduced run: {results.volume:g} of these bytes and files."
    return text


def _find_ratio(table: Table, server: str) -> float | None:
    row = table.find(server, Way.ONE) or table.find(server, Way.CHUNKS)
    return table.ratio(row) if row and table.base is Base.TUSD else None


def _compare_finishing(table: Table | None) -> str | None:
    ours = table.find("wherry/power-loss", Way.JOIN) if table else None
    theirs = table.find("tusd", Way.JOIN) if table else None
    times = [row.median("finishing ms") if row else None for row in (ours, theirs)]
    if None in times:
        return None
    mine, other = map(render_figure, times)
    return f"The request that completes a file of 2 GiB takes {mine} ms; tusd's takes {other} ms."
