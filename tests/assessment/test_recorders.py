"""The table of recorders in the documentation says what is really found."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assessment.conftest import look
from tests.assessment.recorders import BEGIN, PAGE, RECORDERS, Recorder, judge, render_table

from wherry.assessment.media import Unreadable
from wherry.assessment.progress import StepResult
from wherry.assessment.steps import PLAN


@pytest.mark.parametrize("one", RECORDERS, ids=lambda one: f"{one.name}-{one.oddity}")
def test_a_recorders_file_gets_the_verdict_of_the_table(one: Recorder, tmp_path: Path) -> None:
    def results(path: Path) -> list[StepResult]:
        found = []
        for name in PLAN:
            try:
                facts = look(name, path, tmp_path)
            except Unreadable as reason:
                facts = {"unreadable": str(reason), "is_media": reason.is_media}
            found.append(StepResult(name, "done", 0.0, facts))
        return found

    found = judge(one, tmp_path, results)
    # How often a thing is told of a damaged file is no matter of the table.
    assert (found.verdict, set(found.findings)) == (one.verdict, set(one.findings))
    if one.verdict != "fail":
        assert sorted(found.findings) == sorted(one.findings)


def test_the_table_of_the_page_is_this_one() -> None:
    advice = "stale: python -m tests.assessment.recorders"
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert render_table() in text, advice
