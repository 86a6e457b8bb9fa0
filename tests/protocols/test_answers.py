"""Answers are described by their models, and rendered whatever the state has become."""

import json
from dataclasses import replace

import pytest

from wherry.core.assessment import Assessment, Step
from wherry.core.ranges import Part, PartSet
from wherry.core.upload import State, Upload
from wherry.protocols.answers import JsonAnswer
from wherry.protocols.chunked.models import Completed, render_complete
from wherry.protocols.files.models import render_assessment
from wherry.protocols.openapi import schema_of
from wherry.protocols.whole import render_upload

UPLOAD = Upload("u", owner="ann", filename="film.mp4", limit=4, length=4)


def test_a_schema_names_no_components() -> None:
    schema = schema_of(Completed)
    assert "$ref" not in json.dumps(schema)
    assert schema["properties"]["assessment_id"]["type"] == ["string", "null"]
    assert schema["properties"]["state"]["enum"] == [state.value for state in State]


@pytest.mark.parametrize("state", State)
def test_a_completion_is_answered_in_whatever_state_another_request_left_it(state: State) -> None:
    upload = replace(UPLOAD, state=state, received=PartSet((Part(0, 4, 7),)))
    assert json.loads(bytes(JsonAnswer(render_complete(upload)).body))["state"] == state.value
    assert json.loads(bytes(JsonAnswer(render_upload(upload)).body))["size"] == 4


def test_a_step_in_a_state_of_another_version_is_answered() -> None:
    assessment = Assessment("a", "u", "ann", 0.0, steps=(Step("probe", "postponed", None),))
    answer = JsonAnswer(render_assessment(assessment, None))
    assert json.loads(bytes(answer.body))["steps"] == [
        {"name": "probe", "state": "postponed", "seconds": None}
    ]
