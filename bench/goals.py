"""What Wherry aims at in these workloads, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.peers import Way
from bench.results import Results, Row, Table
from bench.tables import render_figure
from bench.workloads import POWER_LOSS, PROCESS_CRASH, ROUTER, TWO_PROCESSES

#: Finds a figure in the tables by workload; None if the run lacks it.
Find = Callable[[dict[str, Table]], float | None]
ASSESSING = f"{POWER_LOSS}/assessment"


@dataclass(frozen=True)
class Goal:
    """`bound`: the least that `find` may be, or with `is_most` the most."""

    title: str
    bound: float
    find: Find
    unit: str = "× tusd"
    is_most: bool = False

    def is_reached(self, figure: float) -> bool:
        return figure <= self.bound if self.is_most else figure >= self.bound


def _ratio(key: str, server: str, way: Way = Way.CHUNKS) -> Find:
    """The first figure of a workload, divided by that of the table's base."""

    def find(tables: dict[str, Table]) -> float | None:
        row = _row(tables, key, server, way)
        return tables[key].ratio(row) if row else None

    return find


def _figure(key: str, figure: str, way: Way = Way.CHUNKS, server: str = POWER_LOSS) -> Find:
    def find(tables: dict[str, Table]) -> float | None:
        row = _row(tables, key, server, way)
        return row.median(figure) if row else None

    return find


def _quotient(mine: Find, other: Find) -> Find:
    def find(tables: dict[str, Table]) -> float | None:
        above, below = mine(tables), other(tables)
        return above / below if above is not None and below else None

    return find


def _row(tables: dict[str, Table], key: str, server: str, way: Way) -> Row | None:
    return tables[key].find(server, way) if key in tables else None


def _both(key: str, least: tuple[float, float], way: Way = Way.CHUNKS) -> list[Goal]:
    """Goals for the speed of a workload with each durability."""
    return [
        Goal(f"{key}, {durability}", bound, _ratio(key, server, way))
        for bound, (durability, server) in zip(
            least,
            (("`power-loss`", POWER_LOSS), ("`process-crash`", PROCESS_CRASH)),
            strict=True,
        )
    ]


_FINISH = "finishing ms"
_SOCKETS = "with sockets MB"
_CPU = "CPU s/GB"

GOALS = (
    *_both("a", (1.4, 2.4)),
    *_both("b", (1.3, 1.6)),
    *_both("d", (1.3, 1.6)),
    Goal("b, `power-loss`, 2 processes", 1.3, _ratio("b", TWO_PROCESSES[0])),
    Goal("d, `power-loss`, 2 processes", 1.3, _ratio("d", TWO_PROCESSES[0])),
    *_both("f", (2.2, 2.2), Way.ONE),
    Goal("c in one request, `power-loss`", 0.7, _ratio("c", POWER_LOSS, Way.ONE)),
    Goal("the same, assessment on", 0.7, _ratio("c", ASSESSING, Way.ONE)),
    Goal(
        "c in one request, `power-loss`, 2 processes",
        0.7,
        _ratio("c", TWO_PROCESSES[0], Way.ONE),
    ),
    Goal("c-disk in one request, `power-loss`", 0.5, _ratio("c-disk", POWER_LOSS, Way.ONE)),
    Goal("the same, assessment on", 0.5, _ratio("c-disk", ASSESSING, Way.ONE)),
    Goal(
        "c in three requests, `power-loss`",
        1,
        _quotient(_figure("c", "files/s"), _figure("c", "files/s", Way.CHUNKS, server="recipe")),
        "× the usual recipe",
    ),
    # Ten times the first build that was measured, which had 0.028.
    Goal("the same, compared with tusd", 0.28, _ratio("c", POWER_LOSS)),
    Goal("a, router on stock uvicorn", 1.0, _ratio("a", ROUTER)),
    Goal("d, router on stock uvicorn", 0.85, _ratio("d", ROUTER)),
    Goal("CPU time in a, `power-loss`", 0.5, _figure("a", _CPU), "s/GB", is_most=True),
    Goal(
        "the same, compared",
        0.45,
        _quotient(_figure("a", _CPU), _figure("a", _CPU, server="tusd")),
        is_most=True,
    ),
    Goal("memory in a, sockets included", 90, _figure("a", _SOCKETS), "MB", is_most=True),
    Goal("memory in d, sockets included", 150, _figure("d", _SOCKETS), "MB", is_most=True),
    Goal("memory with 1,000 slow clients", 250, _figure("slow", _SOCKETS), "MB", is_most=True),
    Goal("CPU time of 1,000 slow clients", 1, _ratio("slow", POWER_LOSS), is_most=True),
    Goal(
        "the finishing call of 2 GiB",
        15,
        _figure("finish-2048", _FINISH, Way.JOIN),
        "ms",
        is_most=True,
    ),
    Goal(
        "the same, compared",
        1.5,
        _quotient(
            _figure("finish-2048", _FINISH, Way.JOIN), _figure("finish-100", _FINISH, Way.JOIN)
        ),
        "× that of 100 MiB",
        is_most=True,
    ),
    *[
        Goal(f"{key}, `power-loss`", 1.15, _ratio(key, POWER_LOSS), "× one request", is_most=True)
        for key in ("chunks", "chunks-far", "chunks-far-gigabit")
    ],
)


def render_goals(results: Results) -> str:
    """A table of all goals, with what the run reached."""
    tables = {table.workload: table for table in results.tables}
    lines = ["| what | goal | in this run | |", "|---|---|---|---|"]
    for goal in GOALS:
        figure = goal.find(tables)
        bound = f"{'at most' if goal.is_most else 'at least'} {goal.bound:g} {goal.unit}"
        verdict = "–" if figure is None else "met" if goal.is_reached(figure) else "**missed**"
        lines.append(f"| {goal.title} | {bound} | {render_figure(figure)} | {verdict} |")
    return "\n".join(lines)
