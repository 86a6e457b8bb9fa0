"""The results as a picture: an SVG that is readable on light and on dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bench.peers import Way
from bench.results import Results, Row, Table
from bench.tables import render_figure

LABELS = 330
PANEL = 188
GAP = 14
ROW = 24
BAR = 14
TOP = 62
#: Room behind the longest bar, for its figure.
NUMBER = 52

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.small { font-size: 11.5px; fill: #59636e; }
.ours { font-weight: 600; }
.bar { fill: #9aa4af; }
.bar.ours { fill: #1f6feb; }
.axis { stroke: #c8ced5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9198a1; }
  .bar { fill: #6e7681; }
  .bar.ours { fill: #58a6ff; }
  .axis { stroke: #3d444d; }
}
"""


@dataclass(frozen=True)
class Panel:
    """One column of bars: a figure of a workload."""

    workload: str
    figure: str
    way: Way
    title: str
    note: str


PANELS = (
    Panel("a", "MB/s", Way.CHUNKS, "MB/s", "1 GiB in chunks of 5 MiB"),
    Panel("a", "CPU s/GB", Way.CHUNKS, "CPU seconds per GB", "the same; less is better"),
    Panel("c", "files/s", Way.ONE, "files/s", "files of 100 KiB, tmpfs"),
)


def render_plot(results: Results) -> str:
    """One row for each server of workload a, the fastest first."""
    tables = {table.workload: table for table in results.tables}
    servers = [row.server for row in tables["a"].ranked() if row.measurements]
    height = TOP + ROW * len(servers) + 8
    width = LABELS + (PANEL + GAP) * len(PANELS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="Speed and CPU time by server">',
        f"<style>{STYLE}</style>",
    ]
    for number, server in enumerate(servers):
        shown = escape(results.titles[server].replace("`", ""))
        y = TOP + ROW * number + ROW / 2 + 4.5
        parts.append(_text(LABELS - 10, y, shown, _names(server, ""), anchor="end"))
    for number, panel in enumerate(PANELS):
        left = LABELS + number * (PANEL + GAP)
        parts += _render_panel(panel, tables.get(panel.workload), servers, left)
    return "\n".join([*parts, "</svg>", ""])


def _render_panel(panel: Panel, table: Table | None, servers: list[str], left: float) -> list[str]:
    bottom = TOP + ROW * len(servers)
    parts = [
        _text(left, 22, panel.title, "title"),
        _text(left, 42, panel.note, "small"),
        f'<line class="axis" x1="{left}" y1="{TOP - 6}" x2="{left}" y2="{bottom}"/>',
    ]
    values = [_find_value(panel, table, server) for server in servers]
    most = max((value for value in values if value is not None), default=1.0)
    for number, (server, value) in enumerate(zip(servers, values, strict=True)):
        y = TOP + ROW * number + (ROW - BAR) / 2
        long = 0.0 if value is None else max(1.0, value / most * (PANEL - NUMBER))
        if value is not None:
            names = _names(server, "bar")
            parts.append(
                f'<rect class="{names}" x="{left}" y="{y:g}" width="{long:.1f}" height="{BAR}"/>'
            )
        shown = render_figure(value)
        parts.append(_text(left + long + 6, y + BAR - 2.5, shown, _names(server, "")))
    return parts


def _find_value(panel: Panel, table: Table | None, server: str) -> float | None:
    row: Row | None = None
    if table is not None:
        row = table.find(server, panel.way) or table.find(server, Way.CHUNKS)
    return row.median(panel.figure) if row else None


def _names(server: str, kind: str) -> str:
    """The classes of what belongs to a server."""
    return f"{kind} ours".strip() if server.startswith("wherry/") else kind


def _text(x: float, y: float, text: str, names: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{names}" text-anchor="{anchor}">{text}</text>'
