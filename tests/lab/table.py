"""The results as a Markdown table, and its place in the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.lab.clients import Client
from tests.lab.doctor import Examined
from tests.lab.measuring import Cell, Sent, is_for
from tests.lab.proxies import KiB, MiB, Proxy, Setup
from tests.lab.results import Results

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "proxies.md"
BEGIN = "<!-- Made by `make lab`: begin -->"
END = "<!-- Made by `make lab`: end -->"
#: A request of a direct upload is named so.
DIRECT = "direct"
NOT_MEASURED = "not measured"


def publish(text: str) -> None:
    """Replace what is between the markers of the page. Raises `ValueError` if it has none."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no markers")
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def render(
    results: Results, proxies: Sequence[Proxy], clients: Sequence[Client], times: bool = True
) -> str:
    """One table for each proxy that was measured, with a row for each of its configurations.

    `times`: with multiples of times.
    """
    parts = []
    head = ["configuration", "largest body", *(client.title for client in clients), "doctor"]
    for proxy in proxies:
        if proxy.key in results.versions:
            rows = [_render_row(results, proxy, each, clients, times) for each in proxy.setups]
            lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]
            parts += [f"### {proxy.title} {results.versions[proxy.key]}", "\n".join(lines)]
    for key, reason in results.left_out.items():
        parts.append(f"Left out: {key} ({reason}).")
    return "\n\n".join(parts)


def _render_row(
    results: Results, proxy: Proxy, setup: Setup, clients: Sequence[Client], times: bool
) -> str:
    cells = [setup.name, _render_limit(setup.limit)]
    for client in clients:
        cell = results.find(proxy.key, setup.name, client.key)
        direct = results.find(DIRECT, baseline_of(proxy, setup), client.key)
        if not is_for(client, setup):
            cells.append("–")
        else:
            cells.append(_render_cell(cell, direct if times else None) if cell else NOT_MEASURED)
    examined = results.find_examined(proxy.key, setup.name)
    cells.append(_render_examined(examined, times) if examined else NOT_MEASURED)
    return f"| {' | '.join(cells)} |"


def baseline_of(proxy: Proxy, setup: Setup) -> str:
    """The name of the configuration without a proxy that a setup is compared with."""
    line = "no limit" if setup.rate is None else f"{setup.rate / MiB:g} MiB/s"
    return f"beside {proxy.key}: {setup.size} bytes, {line}"


def _render_cell(cell: Cell, direct: Cell | None) -> str:
    if cell.unknown.problem:
        return f"**fails**: {cell.unknown.problem.replace('|', '/')[:80]}"
    parts = [_render_waste(cell.unknown)]
    if direct is not None and direct.unknown.seconds:
        parts.append(f"× {cell.unknown.seconds / direct.unknown.seconds:.1f}")
    if cell.known is not None:
        if cell.known.problem:
            parts.append(f"**then fails**: {cell.known.problem.replace('|', '/')[:80]}")
        elif cell.known.thrown_away:
            parts.append(f"then {_render_waste(cell.known)}")
    return "; ".join(parts)


def _render_examined(examined: Examined, times: bool) -> str:
    verdict = f"**wrong**: {examined.problem}" if examined.problem else "right"
    spent = _render_size(examined.size)
    if times:
        spent = f"{examined.seconds:.0f} s, {spent}"
    return f"{verdict}{f', {examined.who}' if examined.who else ''}; {spent}"


def _render_waste(sent: Sent) -> str:
    if not sent.thrown_away and not sent.wasted:
        return "0"
    size = _render_size(sent.thrown_away)
    return f"≈ {size}" if sent.wasted is None else f"{sent.wasted}, {size}"


def _render_limit(limit: int | None) -> str:
    return "no limit" if limit is None else _render_size(limit)


def _render_size(size: int) -> str:
    return f"{size / MiB:.3g} MiB" if size >= MiB else f"{size / KiB:.3g} KiB"
