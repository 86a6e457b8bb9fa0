"""What Python makes of what the element tells a page of Streamlit or Gradio."""

from __future__ import annotations

from typing import Any

import pytest

from wherry.element import UploadedFile, parse_files

ID = "0123456789abcdef" * 2
TOLD = {"id": ID, "filename": "talk.mp4", "size": 5, "assessment_id": None}


def test_python_gets_what_the_element_tells() -> None:
    assert parse_files(None) == parse_files([]) == []
    assert parse_files([TOLD, TOLD | {"assessment_id": "job-1"}]) == [
        UploadedFile(ID, "talk.mp4", 5, None),
        UploadedFile(ID, "talk.mp4", 5, "job-1"),
    ]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        "talk.mp4",
        [ID],
        [{}],
        [TOLD | {"id": "../../etc/passwd"}],
        [TOLD | {"id": ID + "\n"}],
        [TOLD | {"size": "5"}],
        [TOLD | {"size": True}],
        [TOLD | {"size": -1}],
        [TOLD | {"filename": None}],
        [TOLD | {"assessment_id": 1}],
    ],
)
def test_what_no_element_sends_is_refused(sent: Any) -> None:
    with pytest.raises(ValueError, match="the browser sent something other than"):
        parse_files(sent)
