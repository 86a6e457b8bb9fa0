"""Steps of other distributions are found, run in the same sandbox, and may go wrong."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import BOUNDS, Stand, check_report, codes, install, into

from wherry.assessment.sandbox import Sandbox
from wherry.assessment.steps import PLAN, RANGE_GROUP, current_plan, place_of, reads_ranges

STEPS = """
import time
from pathlib import Path
from wherry.assessment.context import Context

def count(context):
    from acme.late import double  # what is imported only now can still be read
    context.write("acme.png", b"\\x89PNG", kind="acme", width=2, height=1, time=0.5)
    data = context.path.read_bytes()
    with open("/dev/null" if False else context.path, "rb") as file:
        assert file.read() == data
    finding = {"code": "ACME-BYTES", "severity": "warn", "message": "So many bytes.", "value": 1}
    return {"twice": double(len(data)), "left": context.seconds_left() > 0, "findings": [finding]}

class Judge:
    def __call__(self, context: Context) -> dict:
        raise LookupError("the model is not there")

judge = Judge()

def nan(context):
    return {"value": float("nan")}

def nothing(context):
    return None

def escape(context):
    return {"secret": Path("/etc/passwd").read_text()}

def oddly_named(context):
    context.write("../elsewhere.png", b"", kind="acme")
    return {}
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with steps, as pip would leave it, where Python finds it."""
    folder = tmp_path / "acme-site"
    names = ("count", "judge", "nan", "nothing", "escape", "oddly_named")
    install(folder, "acme", {f"acme-{name}": f"acme.steps:{name}" for name in names})
    add_package(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def add_package(folder: Path) -> None:
    (folder / "acme").mkdir()
    (folder / "acme" / "__init__.py").touch()
    (folder / "acme" / "steps.py").write_text(STEPS)
    (folder / "acme" / "late.py").write_text("def double(n):\n    return 2 * n\n")


def run(sandbox: Sandbox, step: str, tmp_path: Path) -> Any:
    file = tmp_path / "film.mp4"
    file.write_bytes(b"12345")
    pictures = tmp_path / "pictures"
    return sandbox.run(place_of(step), file, pictures, into(pictures), BOUNDS)


def test_installed_steps_come_after_our_own_by_name(acme: Path) -> None:
    plan = current_plan()
    assert plan[: len(PLAN)] == PLAN
    assert [step for step in plan if step.startswith("acme")] == [
        "acme-count",
        "acme-escape",
        "acme-judge",
        "acme-nan",
        "acme-nothing",
        "acme-oddly_named",
    ]


def test_a_custom_step_has_the_file_a_deadline_and_a_place_for_pictures(
    acme: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    outcome = run(sandbox, "acme-count", tmp_path)
    assert outcome.problem is None
    assert (outcome.result["twice"], outcome.result["left"]) == (10, True)
    assert (tmp_path / "pictures" / "acme.png").read_bytes() == b"\x89PNG"


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("acme-judge", "LookupError: the model is not there"),
        ("acme-nan", "ValueError: Out of range float values are not JSON compliant"),
        ("acme-nothing", "TypeError: a step returns a dict, not NoneType"),
    ],
)
def test_a_custom_step_that_goes_wrong_says_how(
    acme: Path, sandbox: Sandbox, tmp_path: Path, step: str, problem: str
) -> None:
    outcome = run(sandbox, step, tmp_path)
    assert outcome.result is None
    assert outcome.problem.message.startswith(problem)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines a process")
def test_a_custom_step_is_confined_like_our_own(
    acme: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert "PermissionError" in run(sandbox, "acme-escape", tmp_path).problem.message
    assert run(sandbox, "acme-oddly_named", tmp_path).problem is not None
    assert not list(tmp_path.rglob("elsewhere.png"))


def test_a_custom_step_says_by_its_group_that_it_reads_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", "acme", {"acme-whole": "acme.steps:count"})
    install(tmp_path / "site", "acme2", {"acme-parts": "acme.steps:count"}, RANGE_GROUP)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    # Nothing of the package is there: it is not imported to know.
    assert current_plan() == (*PLAN, "acme-parts", "acme-whole")
    assert [reads_ranges(name) for name in ("acme-parts", "acme-whole")] == [True, False]


@pytest.mark.parametrize("name", ["probe", "visual", "Acme", "acme.step", "a" * 41])
def test_a_name_that_is_ours_or_odd_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path / "site", "acme", {name: "acme.steps:count"})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert current_plan() == PLAN
    assert "step-ignored" in caplog.text
    assert place_of("probe") == "wherry.assessment.steps.probe:measure"


@pytest.mark.anyio
async def test_an_assessment_runs_what_is_installed_and_survives_what_fails(
    stand: Stand, small_video: Path
) -> None:
    folder = stand.data / "installed"
    shutil.rmtree(folder)
    install(folder, "acme", {"acme-count": "acme.steps:count", "acme-judge": "acme.steps:judge"})
    add_package(folder)
    await stand.queue(small_video)
    stand.start(installed=True)
    done = await stand.ended()
    assert done.report is not None
    check_report(done.report)
    assert [step.name for step in done.steps] == [*PLAN, "acme-count", "acme-judge"]
    assert done.report["other"] == {
        "acme-count": {"twice": 2 * small_video.stat().st_size, "left": True}
    }
    assert "ACME-BYTES" in codes(dict(done.report), "warn")
    assert codes(dict(done.report), "fail") == ["STEP-FAILED"]
    assert "acme.png" in {picture["name"] for picture in done.report["artefacts"]}
