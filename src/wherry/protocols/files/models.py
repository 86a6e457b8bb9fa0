"""What an assessment looks like to a client."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from wherry.core.assessment import Assessment
from wherry.core.worker import Worker
from wherry.protocols.openapi import Id

# Described, and not checked: what a worker of another version recorded is answered as it is.
AssessmentState = Annotated[
    str, Field(json_schema_extra={"enum": ["queued", "running", "done", "failed"]})
]
StepState = Annotated[
    str, Field(json_schema_extra={"enum": ["waiting", "running", "done", "failed", "skipped"]})
]
WorkerState = Annotated[str, Field(json_schema_extra={"enum": ["starting", "working", "failing"]})]


class AssessmentStep(BaseModel):
    name: str
    state: StepState
    seconds: float | None


class WorkerStatus(BaseModel):
    state: WorkerState
    problem: str | None


class AssessmentStatus(BaseModel):
    """An assessment as it is now."""

    assessment_id: Id
    upload_id: Id
    state: AssessmentState
    steps: list[AssessmentStep]
    report: dict[str, Any] | None
    problem: str | None
    worker: WorkerStatus | None


def render_assessment(assessment: Assessment, worker: Worker | None) -> AssessmentStatus:
    """`worker`: the state of the worker that has to do it; None when it is over."""
    return AssessmentStatus.model_validate(
        {
            "assessment_id": assessment.id,
            "upload_id": assessment.upload_id,
            "state": assessment.state.value,
            "steps": [
                {"name": step.name, "state": step.state, "seconds": step.seconds}
                for step in assessment.steps
            ],
            "report": assessment.report,
            "problem": assessment.problem,
            "worker": worker and {"state": worker.state.value, "problem": worker.problem},
        }
    )
