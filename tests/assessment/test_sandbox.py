"""Whatever a step does, its worker goes on, learns what happened, and nothing is left of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.assessment.conftest import BOUNDS, HOSTILE, TIMEOUT, inhabitants, into

from wherry.assessment.confine import ALLOW, ARCHITECTURES, RETURN, Bounds, call_filter
from wherry.assessment.partial_copy import Interrupted
from wherry.assessment.sandbox import Outcome, Sandbox, parse_answer, remove_scratch

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines a process")

Run = Callable[..., Outcome]


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> Iterator[Run]:
    """Run one of the hostile steps; afterwards nothing of it may be left."""
    file = tmp_path / "file"
    file.write_bytes(b"no")
    artefacts = tmp_path / "artefacts"

    def run(step: str, bounds: Bounds = BOUNDS) -> Outcome:
        place = HOSTILE.get(step, f"{step}:measure")
        return sandbox.run(place, file, artefacts, into(artefacts), bounds)

    yield run
    deadline = time.monotonic() + TIMEOUT
    while inhabitants(tmp_path):  # killed, and perhaps not ended yet
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [path.name for path in artefacts.glob(".*")] == []


def kind(outcome: Outcome) -> str | None:
    return outcome.problem.kind if outcome.problem else None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("crasher", "crashed"),
        ("suicide", "killed"),
        ("silent", "crashed"),
        ("raising", "error"),
        ("loud", "garbage"),
        ("pretender", "garbage"),
        ("nowhere_to_be_found", "error"),
    ],
)
def test_a_step_that_goes_wrong_is_a_problem_with_a_name(
    run: Run, step: str, expected: str
) -> None:
    outcome = run(step)
    assert (outcome.result, kind(outcome)) == (None, expected)
    assert outcome.problem is not None
    assert outcome.problem.message


def test_a_step_that_takes_all_memory_is_ended(run: Run) -> None:
    outcome = run("memory", Bounds(TIMEOUT, processor_seconds=30, memory=512 * 1024**2))
    assert kind(outcome) == "memory"


def test_a_step_that_hangs_is_ended_at_its_deadline(run: Run) -> None:
    assert kind(run("sleeper", Bounds(0.5, processor_seconds=30))) == "timeout"


def test_a_step_that_uses_up_its_processor_time_is_ended(run: Run) -> None:
    assert kind(run("spinner", Bounds(TIMEOUT, processor_seconds=1))) == "timeout"


def test_what_a_library_prints_is_not_taken_for_the_answer(run: Run) -> None:
    assert run("printing").result == {"done": True, "artefacts": []}


def test_a_process_that_a_step_leaves_behind_is_gone_with_it(run: Run) -> None:
    run("forker")


def test_a_file_that_is_gone_is_a_problem(sandbox: Sandbox, tmp_path: Path) -> None:
    outcome = sandbox.run(HOSTILE["before"], tmp_path / "gone", tmp_path, into(tmp_path), BOUNDS)
    assert kind(outcome) == "error"


@linux
def test_a_step_has_no_way_out(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERRY_SECRET", "hunter2")
    (tmp_path / "secret").write_text("hunter2")
    outcome = run("intruder")
    assert outcome.result is not None, outcome.problem
    assert outcome.result["open"] == []
    assert outcome.result["upload"] == "no"
    assert "WHERRY_SECRET" not in outcome.result["environment"]
    assert outcome.confined == ("files", "system-calls")


def test_pictures_are_kept_and_nothing_else(run: Run, tmp_path: Path) -> None:
    run("painter")
    assert [path.name for path in (tmp_path / "artefacts").iterdir()] == ["poster.jpg"]


def test_closing_ends_a_running_step_without_a_result(
    sandbox: Sandbox, run: Run, tmp_path: Path
) -> None:
    ended = threading.Event()

    def wait_in_gate() -> None:
        with pytest.raises(Interrupted):
            run("gate")
        ended.set()

    thread = threading.Thread(target=wait_in_gate)
    thread.start()
    while not inhabitants(tmp_path):
        time.sleep(0.01)
    sandbox.close()
    assert ended.wait(TIMEOUT)
    thread.join()
    with pytest.raises(Interrupted):
        run("before")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b'{"result": []}',
        b'{"result": {"a": NaN}}',
        b'{"result": {"a": Infinity}}',
        b'{"result": {"a": 1e999}}',
        b'{"result": {"a": "\\ud800"}}',
        b'{"result": {"a": "\\u0000"}}',
        b'{"result": {"a": 99999999999999999999999999}}',
        b'{"result": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}",
        b"[" * 100_000,
        b'{"problem": 1}',
        b'{"problem": {"kind": "error"}}',
        b'{"confined": 1, "result": {}}',
        b"\xff\xfe",
    ],
)
def test_an_answer_that_makes_no_sense_is_garbage(answer: bytes) -> None:
    outcome = parse_answer(answer)
    assert (outcome.result, kind(outcome)) == (None, "garbage")


def test_an_answer_with_a_result_is_taken() -> None:
    outcome = parse_answer(b'{"confined": ["files"], "result": {"a": [1, 2.5, "x", null]}}')
    assert outcome.result == {"a": [1, 2.5, "x", None]}
    assert outcome.confined == ("files",)


def test_what_a_dead_worker_left_behind_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / ".step-abc").mkdir()
    (tmp_path / ".step-abc" / "half.jpg").write_bytes(b"?")
    (tmp_path / "poster.jpg").write_bytes(b"!")
    remove_scratch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["poster.jpg"]
    (tmp_path / "poster.jpg").unlink()
    remove_scratch(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_the_filter_of_system_calls_is_well_formed(machine: str) -> None:
    program = call_filter(machine, pid=4711)
    for at, (_, when_true, when_false, _) in enumerate(program[:-1]):
        assert at + 1 + max(when_true, when_false) < len(program)
    assert program[-1] == (RETURN, 0, 0, ALLOW)
