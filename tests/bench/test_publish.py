"""What a run writes into the repository: tables, ratios and the plot."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bench.goals import GOALS, render_goals
from bench.measuring import Measurement
from bench.peers import Way
from bench.plot import render_plot
from bench.publish import BEGIN, END, NotPublished, publish, render_headline, replace_between
from bench.results import Results, Row, Table
from bench.tables import render_table
from bench.workloads import WORKLOADS, Base

MB = 1_000_000
TITLES = {"wherry/power-loss": "Wherry `power-loss`", "tusd": "tusd"}


def measured(seconds: float, finishing: float | None = None) -> Measurement:
    return Measurement(seconds, 100 * MB, 1000, 0.1, 0.01, 50 * MB, MB, seconds, finishing)


def results(ours: float, theirs: list[float]) -> Results:
    """Every workload with Wherry, which takes `ours` seconds, and tusd."""
    found = Results(
        date="2026-01-01",
        machine={"cores": 2},
        rounds=3,
        volume=1,
        versions=dict.fromkeys(TITLES, "1"),
        titles=TITLES,
        lacks=dict.fromkeys(TITLES, "–"),
    )
    for w in WORKLOADS:
        table = Table(w.key, w.title, w.explanation, w.figure, w.base)
        way = Way.JOIN if w.key.startswith("finish") else Way.CHUNKS
        table.rows = [
            Row("wherry/power-loss", way, [measured(ours, ours)]),
            Row("tusd", way, [measured(seconds, seconds) for seconds in theirs]),
        ]
        found.tables.append(table)
    return found


def find(found: Results, key: str) -> Table:
    return next(table for table in found.tables if table.workload == key)


def test_a_figure_is_the_median_and_its_ratio_is_to_tusd() -> None:
    table = find(results(0.5, [9.0, 1.0, 0.1]), "a")
    ours, theirs = table.rows
    assert theirs.median("MB/s") == pytest.approx(100)
    assert table.ratio(ours) == pytest.approx(2)


def test_the_best_comes_first_whether_more_or_less_is_better() -> None:
    found = results(0.5, [1.0])
    for key in ("a", "finish-100", "chunks"):
        assert find(found, key).ranked()[0].server == "wherry/power-loss"


def test_chunks_are_compared_with_one_request_to_the_same_server() -> None:
    table = Table("chunks", "", "", "seconds", Base.ONE_REQUEST)
    chunks = Row("tusd", Way.CHUNKS, [measured(3)])
    table.rows = [chunks, Row("tusd", Way.ONE, [measured(2)])]
    assert table.ratio(chunks) == pytest.approx(1.5)


def test_a_server_that_failed_is_in_the_table_with_the_reason() -> None:
    found = results(1.0, [1.0])
    table = find(found, "a")
    table.rows[0] = Row("wherry/power-loss", Way.CHUNKS, [], "no space | at all")
    last = render_table(table, found).splitlines()[3]
    assert "no space / at all" in last
    assert last.count("|") == render_table(table, found).splitlines()[0].count("|")


def test_a_server_that_failed_in_a_later_round_is_marked() -> None:
    found = results(1.0, [1.0, 1.0])
    table = find(found, "a")
    table.rows[1].problem = "it ended"
    assert "tusd (only 2 of 3 rounds; then it failed)" in render_table(table, found)


def test_the_headline_says_where_wherry_is_slower() -> None:
    assert "slower than tusd at:** 1 GiB in requests" in render_headline(results(2.0, [1.0]))
    assert "slower" not in render_headline(results(0.5, [1.0]))


def test_every_goal_says_what_was_reached_and_whether_that_is_enough() -> None:
    lines = render_goals(results(0.7, [1.0])).splitlines()
    assert "| a, `power-loss` | at least 1.4 × tusd | 1.43 | met |" in lines
    assert "| CPU time in a, `power-loss` | at most 0.5 s/GB | 1 | **missed** |" in lines
    assert "| CPU time of 1,000 slow clients | at most 1 × tusd | 1 | met |" in lines
    assert "| the finishing call of 2 GiB | at most 15 ms | 700 | **missed** |" in lines
    assert "| the same, compared | at most 1.5 × that of 100 MiB | 1 | met |" in lines
    # Neither is in these results.
    assert "| a, `process-crash` | at least 2.4 × tusd | – | – |" in lines
    assert len(lines) == 2 + len(GOALS)


def test_every_goal_is_about_a_server_of_its_workload() -> None:
    """With results of all servers, no goal is left open."""
    found = results(1.0, [1.0])
    for table in found.tables:
        workload = next(w for w in WORKLOADS if w.key == table.workload)
        table.rows = [Row(entry.server, entry.way, [measured(1, 1)]) for entry in workload.entries]
    assert "–" not in render_goals(found)


def test_the_plot_is_a_picture_with_a_bar_for_each_server_and_figure() -> None:
    root = ET.fromstring(render_plot(results(0.5, [1.0])))
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 2 * 3


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    replace_between(page, "new")
    assert page.read_text() == f"above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"


def test_results_that_lack_a_workload_are_not_published() -> None:
    found = results(0.5, [1.0])
    found.tables.pop()
    with pytest.raises(NotPublished, match="chunks-far"):
        publish(found)
