"""`wherry assessments`: which there are, and the order in which those that wait are begun."""

# No `from __future__ import annotations`: the options are read off the annotations.

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.engines import OPERATOR, Json, with_engine
from wherry.cli.serving import DATA, Data

if TYPE_CHECKING:
    from wherry.core.assessment import Assessment
    from wherry.engine import Engine

assessments = typer.Typer(no_args_is_help=True, help="Assessments, and the order of those to come.")


class Wanted(Enum):
    """The states of an assessment; `core` has what they mean."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@assessments.command("list")
def list_assessments(
    data: Data = DATA,
    state: Annotated[
        list[Wanted] | None, typer.Option(help="List only those in this state.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List assessments, oldest first: state, priority, date, owner and upload.

    Workers begin those that are queued by their priority, the highest first, and then by age.
    """
    wanted = None if not state else [each.value for each in state]

    async def print_all(engine: "Engine") -> None:
        async for each in _every_assessment(engine, wanted):
            facts = _as_dict(each, engine)
            typer.echo(json.dumps(facts) if as_json else _as_line(facts))

    with_engine(data, print_all)


@assessments.command("set-priority")
def set_priority(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="As `list` shows it.")],
    priority: Annotated[
        int,
        typer.Option(
            "--to", min=-100, max=100, metavar="PRIORITY", help="From -100 to 100; 0 is usual."
        ),
    ],
    data: Data = DATA,
) -> None:
    """Change the priority of assessments that wait. Workers begin the highest first."""

    async def change(engine: "Engine") -> None:
        from wherry.core.assessment import NotQueued  # noqa: PLC0415
        from wherry.core.errors import NotThere  # noqa: PLC0415

        for assessment_id in ids:
            try:
                await engine.prioritise(OPERATOR, assessment_id, priority)
            except NotThere:
                raise ValueError(
                    f"there is no assessment {assessment_id}; `wherry assessments list` shows all"
                ) from None
            except NotQueued:
                raise ValueError(
                    f"the assessment {assessment_id} has begun or is over, so it has no order any "
                    "more; `wherry assessments list --state queued` shows those that wait"
                ) from None
            typer.echo(f"{assessment_id} has the priority {priority}")

    with_engine(data, change)


async def _every_assessment(
    engine: "Engine", states: list[str] | None
) -> AsyncIterator["Assessment"]:
    from wherry.core.assessment import AssessmentState  # noqa: PLC0415
    from wherry.core.pages import PageRequest  # noqa: PLC0415

    wanted = None if states is None else [AssessmentState(state) for state in states]
    page = await engine.assessments(OPERATOR, wanted)
    while True:
        for each in page:
            yield each
        if page.next is None:
            return
        page = await engine.assessments(OPERATOR, wanted, PageRequest(page.next))


def _as_dict(each: "Assessment", engine: "Engine") -> dict[str, object]:
    date = datetime.fromtimestamp(engine.date_of(each.created_at), UTC)
    return {
        "assessment_id": each.id,
        "state": each.state.value,
        "priority": each.priority,
        "date": date.isoformat(timespec="seconds"),
        "owner": each.owner,
        "upload_id": each.upload_id,
        "problem": each.problem,
    }


def _as_line(facts: dict[str, object]) -> str:
    problem = f"  ({facts['problem']})" if facts["problem"] else ""
    words = f"{facts['assessment_id']} {facts['state']:8} {facts['priority']:4} {facts['date']}"
    return f"{words} {facts['owner']}  {facts['upload_id']}{problem}"
