"""The results as Markdown tables."""

from __future__ import annotations

from bench.peers import Way
from bench.results import Results, Row, Table

#: The columns of every table after the first figure and its ratio.
COLUMNS = {
    "MB/s": ("CPU s/GB", "memory MB", "sockets MB", "slowest s"),
    "files/s": ("CPU ms/file", "memory MB", "slowest s"),
}


def render_table(table: Table, results: Results) -> str:
    """One workload, the fastest server first."""
    columns = COLUMNS[table.figure]
    driver = [row.median("driver CPU s/GB") or 0 for row in table.rows if row.measurements]
    lines = [
        f"| server | {table.figure} | × tusd | {' | '.join(columns)} | what it lacks |",
        f"|---{'|---' * (len(columns) + 3)}|",
    ]
    ranked = sorted(table.rows, key=lambda row: -(row.median(table.figure) or 0))
    lines += [_render_row(row, table, results, columns) for row in ranked]
    if driver:
        lines += ["", f"The driver itself used {min(driver):.2f} to {max(driver):.2f} CPU s/GB."]
    return "\n".join(lines)


def render_machine(results: Results) -> str:
    facts = ", ".join(f"{name}: {value}" for name, value in results.machine.items())
    return f"{results.date}. {facts}. Rounds: {results.rounds}. Volume: {results.volume:g}."


def render_all(results: Results) -> str:
    """All tables, for a terminal."""
    parts = [render_machine(results)]
    for table in results.tables:
        parts += [f"{table.workload}: {table.title}", render_table(table, results)]
    return "\n\n".join(parts)


def _render_row(row: Row, table: Table, results: Results, columns: tuple[str, ...]) -> str:
    title = results.titles[row.server]
    several = [other for other in table.rows if other.server == row.server]
    if len(several) > 1:
        title += ", in one request" if row.way is Way.ONE else ", resumable"
    if not row.measurements:
        return f"| {title} | {row.problem} |{' |' * (len(columns) + 2)}"
    ratio = table.ratio(row)
    cells = [
        title,
        f"{row.median(table.figure):,.0f}",
        "–" if ratio is None else f"{ratio:.2f}",
        *[_render_figure(row.median(column)) for column in columns],
        results.lacks[row.server],
    ]
    return f"| {' | '.join(cells)} |"


def _render_figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
