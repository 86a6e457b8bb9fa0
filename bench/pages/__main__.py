"""Runs all trials with all products in turn, and prints the table."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Error

from bench.machine import find_shape
from bench.pages.browsing import LIMIT
from bench.pages.building import build
from bench.pages.products import PRODUCTS
from bench.pages.trials import TIMED, TRIALS, Place
from bench.publish import replace_between

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".bench" / ".cache"
PAGE = ROOT / "docs" / "explanation" / "beside-uppy.md"
BEGIN = "<!-- Made by `python -m bench.pages`: begin -->"
END = "<!-- Made by `python -m bench.pages`: end -->"

Figure = float | str
Found = dict[str, dict[str, list[Figure]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often pages are started")
    parser.add_argument("--only", default="", help="trials, separated by commas")
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    CACHE.mkdir(parents=True, exist_ok=True)
    built = build(CACHE)
    found: Found = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        shape = find_shape(Path(name))
        for trial in TRIALS:
            if wanted and trial.__name__ not in wanted:
                continue
            for round_ in range(options.rounds if trial in TIMED else 1):
                for number, product in enumerate(PRODUCTS):
                    folder = Path(name) / f"{trial.__name__}-{number}-{round_}"
                    folder.mkdir()
                    try:
                        figures = trial(Place(product, folder, CACHE, built))
                    except Error as error:
                        print(f"{product.title}: {trial.__name__}: {error.message.splitlines()[0]}")
                        figures = {}
                    shutil.rmtree(folder)
                    for what, figure in figures.items():
                        found.setdefault(what, {}).setdefault(product.title, []).append(figure)
                        print(f"{product.title}: {what}: {_shown([figure])}", flush=True)
    about = (
        f"On {datetime.now(UTC):%Y-%m-%d}, Linux {shape['kernel']}, {shape['cores']} cores, "
        f"load {load:.1f} at the start and {os.getloadavg()[0]:.1f} at the end."
    )
    text = f"{about}\n\n{render(found)}"
    print(f"\n{text}")
    if options.publish:
        replace_between(PAGE, text, BEGIN, END)


def render(found: Found) -> str:
    titles = [product.title for product in PRODUCTS]
    ours, theirs = titles[:2]
    rows = [f"| | {' | '.join(titles)} | Wherry ÷ Uppy |", "|---|" + "---|" * (len(titles) + 1)]
    for what, figures in found.items():
        one, other = _median(figures.get(ours, [])), _median(figures.get(theirs, []))
        ratio = ""
        if isinstance(one, int | float) and isinstance(other, int | float) and other > 0:
            ratio = f"{one / other:.2f}"
        cells = [_shown(figures.get(title, [])) for title in titles]
        rows.append(f"| {what} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(rows)


def _median(figures: list[Figure]) -> Figure:
    if not figures:
        return f"not within {LIMIT:.0f} s"
    numbers = [figure for figure in figures if isinstance(figure, int | float)]
    return statistics.median(numbers) if len(numbers) == len(figures) else figures[0]


def _shown(figures: list[Figure]) -> str:
    figure = _median(figures)
    if isinstance(figure, str):
        return figure
    return f"{figure:.0f}" if figure >= 10 or figure == round(figure) else f"{figure:.1f}"


if __name__ == "__main__":
    main()
