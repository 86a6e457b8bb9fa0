"""What leaves the sandbox can be written down: text that is none is made some, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.conftest import BOUNDS, HOSTILE, Assess, into, look

from wherry.assessment.json_safe import check_json_safe, make_json_safe
from wherry.assessment.sandbox import Sandbox
from wherry.testing.video import make_video

ANYTHING = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_was_said_can_be_written_down(value: Any) -> None:
    check_json_safe(make_json_safe(value))
    json.dumps(make_json_safe(value), ensure_ascii=False).encode()


@given(st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_good_text_stays_as_it_is(value: Any) -> None:
    assert json.loads(json.dumps(make_json_safe(value))) == json.loads(
        json.dumps(value).replace("\\u0000", "\\ufffd")
    )


@pytest.mark.parametrize("text", ["caf\udce9", "\ud800", "a\0b"])
def test_text_that_cannot_be_written_down_is_refused_by_the_parent(text: str) -> None:
    for value in (text, [text], {text: 1}, {"a": {"b": text}}):
        with pytest.raises(ValueError, match="no text"):
            check_json_safe(value)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose title and language are Latin-1, as older programs write them."""
    path = tmp_path_factory.mktemp("tagged") / "small.mkv"
    made = make_video(path.with_suffix(".mp4"), seconds=2, width=64, height=48)
    with av.open(str(made)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "Café au lait"
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    content = path.read_bytes()
    assert "Café".encode() in content
    path.write_bytes(content.replace("Café".encode(), b"Caf\xe9!"))
    return path


def test_tags_that_are_not_utf8_cost_nobody_a_report(assess: Assess, tagged: Path) -> None:
    report = assess(tagged)
    assert report["probe"]["tags"]["title"] == "Caf\N{REPLACEMENT CHARACTER}! au lait"


def test_a_step_may_say_text_that_is_none(sandbox: Sandbox, tmp_path: Path, tagged: Path) -> None:
    outcome = sandbox.run(HOSTILE["latin"], tagged, tmp_path, into(tmp_path), BOUNDS)
    assert outcome.result == {"artefacts": [], "n\ufffdm": ["caf\ufffd", {"z": "a\ufffdb"}]}


def test_in_the_child_and_outside_of_it_a_step_says_the_same(
    sandbox: Sandbox, tmp_path: Path, tagged: Path
) -> None:
    probe = "wherry.assessment.steps.probe:measure"
    inside = sandbox.run(probe, tagged, tmp_path, into(tmp_path), BOUNDS)
    assert inside.result == look("probe", tagged, tmp_path)
