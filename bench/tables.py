"""The results as Markdown tables."""

from __future__ import annotations

from bench.peers import Way
from bench.results import BASE, Results, Row, Table

#: The columns of a table after its first figure and its ratio.
COLUMNS = {
    "MB/s": ("CPU s/GB", "memory MB", "with sockets MB", "slowest s"),
    "files/s": ("CPU ms/file", "memory MB", "slowest s"),
    "finishing ms": ("MB/s", "CPU s/GB", "memory MB"),
    "CPU s": ("memory MB", "with sockets MB", "slowest s"),
    "seconds": ("MB/s", "CPU s/GB", "memory MB"),
}


def render_table(table: Table, results: Results) -> str:
    """One workload, the best server first."""
    columns = COLUMNS[table.figure]
    head = ["server", table.figure, f"× {table.base}", *columns, "it does not promise"]
    lines = [
        f"| {' | '.join(head)} |",
        f"|---{'|---' * (len(columns) + 3)}|",
    ]
    lines += [_render_row(row, table, results, columns) for row in table.ranked()]
    drivers = [row.median("driver CPU s/GB") or 0 for row in table.rows if row.measurements]
    if drivers:
        least, most = min(drivers), max(drivers)
        lines += ["", f"The driver itself used {least:.2f} to {most:.2f} CPU s/GB."]
    return "\n".join(lines)


def render_machine(results: Results) -> str:
    """Date and shape of the machine, what its disk does, and which servers were measured."""
    facts = "; ".join(f"{name}: {value}" for name, value in results.machine.items())
    text = f"Measured on {results.date}. {facts}. Rounds: {results.rounds}."
    if results.volume != 1:
        text += f" **Reduced: {results.volume:g} of the bytes, files and clients named below.**"
    versions = {
        results.titles[key].partition(" `")[0]: version
        for key, version in results.versions.items()
        if version not in results.titles[key]
    }
    if versions:
        text += " Versions: " + "; ".join(f"{name}: {v}" for name, v in versions.items()) + "."
    for name, reason in results.left_out.items():
        text += f" Left out: {name} ({reason})."
    return text


def render_all(results: Results) -> str:
    """All tables, for a terminal, and how to read them."""
    parts = [render_machine(results)]
    for table in results.tables:
        parts += [f"{table.workload}: {table.title}", render_table(table, results)]
    parts.append(
        f"× {BASE} is the ratio of a server's figure to that of {BASE}. "
        "docs/explanation/performance.md explains the columns."
    )
    return "\n\n".join(parts)


def render_title(row: Row, table: Table, results: Results) -> str:
    """The server, and how files are sent to it if that differs within the table."""
    title = results.titles[row.server]
    if len({other.way for other in table.rows}) > 1:
        title += ", in one request" if row.way is Way.ONE else ", resumable"
    return title


def render_figure(value: float | None) -> str:
    """With as many digits as it deserves."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _render_row(row: Row, table: Table, results: Results, columns: tuple[str, ...]) -> str:
    title = render_title(row, table, results)
    if row.problem and row.measurements:
        title += f" (only {len(row.measurements)} of {results.rounds} rounds; then it failed)"
    if not row.measurements:
        return f"| {title} | {_render_problem(row)} |{' |' * (len(columns) + 2)}"
    ratio = table.ratio(row)
    cells = [
        title,
        render_figure(row.median(table.figure)),
        "–" if ratio is None else f"{ratio:.2f}",
        *[render_figure(row.median(column)) for column in columns],
        results.lacks[row.server],
    ]
    return f"| {' | '.join(cells)} |"


def _render_problem(row: Row) -> str:
    problem = (row.problem or "not measured").replace("|", "/")
    return f"failed: {problem[:120]}"
