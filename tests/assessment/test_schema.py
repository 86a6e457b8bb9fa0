"""The shape of a report is a file, documented, and what reports really are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import ROOT

from wherry.assessment import findings, report
from wherry.assessment.policy import BUILT_IN, CONDITIONS, MEASURES, POLICIES, Sense, Severity
from wherry.assessment.schema import FILE, render_schema
from wherry.assessment.steps import PLAN

PAGE = (ROOT / "docs/reference/assessment-report.md").read_text(encoding="utf-8")
POLICY_PAGE = (ROOT / "docs/howto/judge-by-your-own-policy.md").read_text(encoding="utf-8")
EXPLAINED = (ROOT / "docs/explanation/assessment.md").read_text(encoding="utf-8")


def test_the_schema_in_the_package_is_what_the_models_say() -> None:
    advice = "stale: python -m wherry.assessment.schema"
    assert FILE.read_text(encoding="utf-8") == render_schema(), advice


def test_the_schema_names_its_dialect_and_lets_fields_come() -> None:
    schema = json.loads(render_schema())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["schema"]["const"] == "assessment.v1"
    assert "additionalProperties" not in schema


def properties(schema: Any) -> Iterator[str]:
    """Every field that a report may have."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"]
        for part in schema.values():
            yield from properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from properties(part)


def test_every_field_of_a_report_is_documented() -> None:
    missing = {name for name in properties(json.loads(render_schema())) if f"`{name}`" not in PAGE}
    assert not missing


def documented() -> set[str]:
    return set(re.findall(r"^\| `([A-Z]+-[A-Z-]+)` \|", PAGE, re.M))


def test_every_finding_is_documented() -> None:
    sources = [Path(str(module.__file__)).read_text() for module in (report, findings)]
    made = {code for text in sources for code in re.findall(r'"([A-Z]+-[A-Z-]+)"', text)}
    assert documented() == made


def told(policy: str, measure: str) -> str:
    """A policy's limits in a cell of the table."""
    limits = POLICIES[policy].limits.get(measure, {})
    return ", ".join(f"{s.value} {limits[s]:g}" for s in Severity if s in limits) or "–"


@pytest.mark.parametrize("measure", MEASURES)
def test_the_table_of_policies_says_what_they_say(measure: str) -> None:
    signs = {Sense.FROM: "≥", Sense.ABOVE: ">", Sense.BELOW: "<"}
    cells = [told(policy, measure) for policy in BUILT_IN]
    what = f"{signs[MEASURES[measure].sense]} {MEASURES[measure].meaning}"
    assert f"| `{measure}` | {what} | {' | '.join(cells)} |" in POLICY_PAGE


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_table_of_conditions_says_what_they_say(condition: str) -> None:
    severities = [POLICIES[policy].conditions.get(condition) for policy in BUILT_IN]
    cells = [severity.value if severity else "–" for severity in severities]
    assert f"| `{condition}` | {CONDITIONS[condition]} | {' | '.join(cells)} |" in POLICY_PAGE


def test_every_step_is_explained() -> None:
    assert not [step for step in PLAN if f"`{step}`" not in EXPLAINED]
