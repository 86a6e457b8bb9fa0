"""How the worker is reaches every process on its folder, and a worker by hand counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.assessment.worker_status import (
    ManualWorkerStatus,
    WorkerStatus,
    cause_of,
    parse_problem,
    printable_cause,
    sending_fatal_error,
)
from wherry.core.worker import Worker, WorkerState

FAILING = Worker(WorkerState.FAILING, 5.0, "The worker cannot start: why.", 2)

HOLD = """
import sys
from pathlib import Path
from wherry.assessment.worker_status import ManualWorkerStatus
say = ManualWorkerStatus(Path(sys.argv[1]))
say(None)
print("held", flush=True)
sys.stdin.readline()
say("the disk is full")
print("let go", flush=True)
sys.stdin.readline()
say(None)
print("held", flush=True)
sys.stdin.readline()
"""


def test_what_was_told_is_read_as_it_was(tmp_path: Path) -> None:
    WorkerStatus(tmp_path).write(FAILING)
    assert WorkerStatus(tmp_path).read() == FAILING
    assert [path.name for path in tmp_path.iterdir()] == ["worker.json"]


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"state": "odd"}', '{"state": 1}'])
def test_where_nothing_was_told_that_can_be_read_it_is_starting(
    content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "worker.json").write_text(content)
    assert WorkerStatus(tmp_path).read() == Worker()


def test_while_a_worker_by_hand_works_assessments_are_done(tmp_path: Path) -> None:
    status = WorkerStatus(tmp_path)
    status.write(FAILING)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as by_hand:
        assert by_hand.stdin is not None
        assert by_hand.stdout is not None
        for said, expected in [
            ("held", WorkerState.WORKING),
            ("let go", WorkerState.FAILING),
            ("held", WorkerState.WORKING),
        ]:
            assert by_hand.stdout.readline().strip() == said
            assert status.read().state is expected
            if said == "let go" or status.read().state is WorkerState.WORKING:
                by_hand.stdin.write("\n")
                by_hand.stdin.flush()
    assert status.read() == FAILING


def test_of_two_workers_by_hand_one_is_enough(tmp_path: Path) -> None:
    one, other = ManualWorkerStatus(tmp_path), ManualWorkerStatus(tmp_path)
    one(None)
    other(None)
    one("the disk is full")
    assert WorkerStatus(tmp_path).read().state is WorkerState.WORKING
    other("the disk is full")
    assert WorkerStatus(tmp_path).read().state is WorkerState.STARTING


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"problem": null}\n', (None,)),
        (b'{"problem": "why"}\n', ("why",)),
        (b'{"problem": 1}\n', None),
        (b"{}\n", None),
        (b"[]\n", None),
        (b"hello\n", None),
        (b"\xff\n", None),
        (b"", None),
    ],
)
def test_only_what_the_worker_says_of_itself_is_heard(
    line: bytes, said: tuple[str | None] | None
) -> None:
    assert parse_problem(line) == said


def test_a_cause_is_one_line_that_no_terminal_obeys() -> None:
    assert cause_of(ValueError("\n first \nsecond")) == "first"
    assert cause_of(ValueError()) == "ValueError"


@pytest.mark.parametrize("name", ["dbos", "av"])
def test_a_cause_that_is_not_installed_says_how_to_install_it(name: str) -> None:
    error = ModuleNotFoundError(f"No module named '{name}'", name=name)
    assert cause_of(error) == f"{name} is not installed: pip install 'wherry[assessment]'"
    of_a_custom_step = ModuleNotFoundError("No module named 'torch'", name="torch")
    assert cause_of(of_a_custom_step) == "No module named 'torch'"
    assert printable_cause("a\x1b[2Jb\n" + "c" * 1000) == "a[2Jb" + "c" * 295


def test_only_a_worker_that_is_kept_says_why_it_ends(capfd: pytest.CaptureFixture[str]) -> None:
    for is_kept in (False, True):
        with pytest.raises(KeyError), sending_fatal_error(is_kept):
            raise KeyError("why")
    assert json.loads(capfd.readouterr().out) == {"problem": "'why'"}
