"""The alert rules and the dashboard speak of numbers that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # uvicorn brings it
from tests.watching.conftest import samples

from wherry.catalog.counts import Counts
from wherry.core.admission import Space
from wherry.metrics import Metrics, Reading

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCS = Path(__file__).parents[2] / "docs"

_NAME = re.compile(r"\bwherry_\w+")
#: A selector: a name and what its labels must be.
_SELECTOR = re.compile(r"\b(wherry_\w+)\{([^}]*)\}")
_CONDITION = re.compile(r'(\w+)(=~?)"([^"]*)"')
#: What Prometheus adds, and what `by` and `without` may name besides.
ADDED = {"instance"}


def scrape() -> dict[str, list[dict[str, str]]]:
    """The labels of every sample, by the name of its metric."""
    reading = Reading(1000.0, Counts(), Space(total=10, free=5), min_free=1, max_open=10)
    found: dict[str, list[dict[str, str]]] = {}
    for name, labels in samples(Metrics().render(reading).decode()):
        found.setdefault(name, []).append(dict(labels))
    return found


EXPORTED = scrape()


def rules() -> list[dict[str, Any]]:
    text = (DEPLOY / "prometheus" / "wherry.rules.yml").read_text(encoding="utf-8")
    [group] = yaml.safe_load(text)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    text = (DEPLOY / "grafana" / "wherry.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)["panels"]
    return found


def expressions() -> Iterator[Any]:
    for rule in rules():
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in panels():
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


EXPRESSIONS = list(expressions())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_number_of_an_expression_is_exported(expression: str) -> None:
    names = _NAME.findall(expression)
    assert names
    assert not [name for name in names if name not in EXPORTED]
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_label_of_an_expression_has_the_values_it_asks_for(
    expression: str,
) -> None:
    for name, conditions in _SELECTOR.findall(expression):
        for label, how, wanted in _CONDITION.findall(conditions):
            if label in ADDED:
                continue
            values = {labels.get(label) for labels in EXPORTED[name]}
            alternatives = wanted.split("|") if how == "=~" else [wanted]
            assert not [value for value in alternatives if value not in values], (
                name,
                label,
            )


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_counters_are_summed_over_the_processes(expression: str) -> None:
    for name in _NAME.findall(expression):
        if re.search(r"_(total|bucket|sum|count)$", name):
            assert re.search(r"sum (by|without) \(|sum \(", expression), name
    for left_out in re.findall(r"without \(([^)]*)\)", expression):
        assert "process" in left_out


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "runbook"}
    assert all(text.strip().endswith(".") for text in rule["annotations"].values())
    page = (DOCS / "howto" / "watch.md").read_text(encoding="utf-8")
    assert f"`{rule['alert']}`" in page


def test_no_alert_is_explained_that_there_is_not() -> None:
    page = (DOCS / "howto" / "watch.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(Wherry\w+)`", page)) == {rule["alert"] for rule in rules()}


def test_the_panels_of_the_dashboard_do_not_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in panels()}) == len(panels()) > 10
