"""Assessments happen once and to the end, whoever is killed in the middle of them."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.assessment.conftest import (
    TIMEOUT,
    Stand,
    check_report,
    codes,
    inhabitants,
    until,
    upload_id_of,
)
from tests.stopped import stop

from wherry.app import App
from wherry.assessment.steps import PLAN
from wherry.catalog.postgres.catalog import PostgresCatalog
from wherry.core.assessment import LONGEST_LEASE, MAX_TRIES, Assessment, AssessmentState
from wherry.core.errors import NotThere
from wherry.core.requests import Caller
from wherry.settings import SHORTEST, Settings
from wherry.storage.folders import Folders
from wherry.storage.localpictures import LocalPictures
from wherry.testing.video import make_text

pytestmark = pytest.mark.anyio

#: A step that is finished, one that waits for the test, and one after it.
GATED = ["before", "gate", "after"]
#: A lease that outlasts any pause: a worker that is only slow loses none to another one.
LONG = LONGEST_LEASE


async def test_a_queued_upload_is_assessed_and_its_pictures_are_there(
    stand: Stand, small_video: Path
) -> None:
    await stand.queue(small_video)
    stand.start()
    done = await stand.ended()
    assert done.state is AssessmentState.DONE
    assert done.report is not None
    assert codes(dict(done.report)) == ["VIS-BLACK", "VIS-FREEZE", "AUD-SILENCE"]
    assert [(step.name, step.state) for step in done.steps] == [(name, "done") for name in PLAN]
    check_report(done.report)
    drawn = {picture["name"] for picture in done.report["artefacts"]}
    assert drawn == {path.name for path in (stand.data / "assessments" / done.id).iterdir()}
    assert len(drawn) == 5


async def test_steps_are_seen_as_they_happen(stand: Stand) -> None:
    await stand.queue_gate()
    stand.start(plan=GATED)
    await stand.in_gate()
    shown: list[str] = []
    while shown != ["done", "running", "waiting"]:
        shown = [step.state for step in (await stand.catalog.load_assessment("a1")).steps]
    stand.open_gate()
    assert [step.state for step in (await stand.ended()).steps] == ["done"] * 3


async def test_several_uploads_are_assessed_in_their_order_and_nothing_is_left_of_workflows(
    stand: Stand, tmp_path: Path
) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"go")
    for number in (1, 2, 3):
        await stand.queue(file, number)
    worker = stand.start(plan=GATED, lease=LONG)
    ends = [(await stand.ended(f"a{number}")).finished_at or 0 for number in (1, 2, 3)]
    assert ends == sorted(ends)
    worker.terminate()
    assert worker.wait(TIMEOUT) == 0
    with closing(sqlite3.connect(stand.data / "dbos.sqlite")) as database:
        for table in ("workflow_status", "operation_outputs", "queues"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_work_begins_by_priority_and_then_by_age(stand: Stand, tmp_path: Path) -> None:
    await stand.queue_gate()
    stand.start(plan=GATED, lease=LONG)
    await stand.in_gate()  # the worker is busy, so those that come now wait
    (file := tmp_path / "x").write_bytes(b"go")
    for number, priority in ((2, -1), (3, 0), (4, 5), (5, 0), (6, 5), (7, 0)):
        await stand.queue(file, number, priority)
    await stand.catalog.update_assessment("a7", lambda a: a.prioritise(9))
    stand.open_gate()
    for number in range(1, 8):
        await stand.ended(f"a{number}")
    begun = re.findall(r"step-started assessment_id=(\w+) step=before", stand.log())
    assert begun == ["a1", "a7", "a4", "a6", "a3", "a5", "a2"]


# Killing.


async def assert_done_once(stand: Stand) -> Assessment:
    """The assessment ends, and of its steps only the one that was cut off was begun twice."""
    stand.open_gate()
    done = await stand.ended()
    assert done.state is AssessmentState.DONE
    assert done.report is not None
    assert [step["name"] for step in done.report["engine"]["steps"]] == GATED
    begun = [stand.said(f"step-started assessment_id=a1 step={name}") for name in GATED]
    assert begun == [1, 2, 1]
    # The line is written after the record.
    await until(lambda: stand.said("assessment-done") == 1)
    return done


async def test_a_killed_workers_assessment_is_finished_by_the_next(stand: Stand) -> None:
    await stand.queue_gate()
    worker = stand.start(plan=GATED)
    await stand.in_gate()
    worker.kill()
    leased_until = (await stand.catalog.load_assessment("a1")).leased_until
    # The step dies with its worker.
    await until(lambda: inhabitants(stand.data) == [])
    stand.start(plan=GATED)
    done = await assert_done_once(stand)
    assert done.finished_at is not None
    assert time.monotonic() >= leased_until


async def test_a_killed_worker_is_started_again_by_its_server(stand: Stand) -> None:
    await stand.queue_gate()
    stand.start("server.py", plan=GATED, until_stdin_closes=True)
    await stand.in_gate()
    os.kill(worker_pid(stand), signal.SIGKILL)
    await until(lambda: stand.said("workflow-resumed") == 1)
    await assert_done_once(stand)


async def test_a_killed_servers_worker_ends_and_the_next_one_goes_on(stand: Stand) -> None:
    await stand.queue_gate()
    server = stand.start("server.py", plan=GATED, until_stdin_closes=True)
    await stand.in_gate()
    server.kill()
    await until(lambda: stand.said("worker-stopped") == 1)
    await until(lambda: inhabitants(stand.data) == [])
    stand.start("server.py", plan=GATED, until_stdin_closes=True)
    await assert_done_once(stand)


async def test_server_and_worker_killed_together_lose_nothing(stand: Stand) -> None:
    await stand.queue_gate()
    server = stand.start("server.py", plan=GATED, until_stdin_closes=True)
    await stand.in_gate()
    for pid in (server.pid, worker_pid(stand)):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: inhabitants(stand.data) == [])
    stand.start("server.py", plan=GATED, until_stdin_closes=True)
    await assert_done_once(stand)


def worker_pid(stand: Stand) -> int:
    """The process of the first worker, as it told in its log."""
    log = (stand.data / "log-0").read_text()
    return int(log.split("worker-started")[0].rsplit("pid=", 1)[1])


async def test_killed_at_every_step_a_real_video_is_assessed_once(
    stand: Stand, small_video: Path
) -> None:
    await stand.queue(small_video)
    for name in ("integrity", "poster"):
        worker = stand.start(lease=0.5)
        await until(lambda name=name: stand.said(f"step={name}") > 0)  # type: ignore[misc]
        worker.kill()
        worker.wait()
    stand.start(lease=0.5)
    done = await stand.ended()
    assert done.report is not None
    assert codes(dict(done.report)) == ["VIS-BLACK", "VIS-FREEZE", "AUD-SILENCE"]
    # The line is written after the record.
    await until(lambda: stand.said("assessment-done") == 1)
    for name in ("probe", "visual", "audio"):
        assert stand.said(f"step={name}") == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_file_that_kills_three_workers_is_given_up_with_a_report(
    stand: Stand, kind: str, request: pytest.FixtureRequest
) -> None:
    options: dict[str, Any] = {"plan": GATED}
    if kind == "postgres":
        options["database"] = request.getfixturevalue("database")
        stand.catalog = PostgresCatalog(options["database"])
    await stand.queue_gate()
    killed = 0
    # Once each; on a busy machine, one may have lost its lease before it was killed.
    while (await stand.catalog.load_assessment("a1")).tries < MAX_TRIES:
        worker = stand.start(**options)
        await until(lambda n=killed: stand.said("step=gate", by=n) > 0)  # type: ignore[misc]
        await until(lambda: bool(inhabitants(stand.data)))
        worker.kill()
        worker.wait()
        killed += 1
        await until(lambda: not inhabitants(stand.data))
    assert killed >= MAX_TRIES
    stand.start(**options)
    ended = await stand.ended()
    assert ended.state is AssessmentState.DONE
    assert [step.state for step in ended.steps] == ["done", "failed", "failed"]
    assert ended.report is not None
    check_report(ended.report)
    found = [(each["code"], each["message"]) for each in ended.report["findings"]]
    assert [code for code, _ in found] == ["STEP-FAILED", "STEP-FAILED"]
    assert found[0][1].startswith("The step gate failed: 3 workers in a row died")
    assert "upload it again" in found[0][1]
    assert found[1][1].startswith("The step after failed: it was not begun, because gate was")
    assert ended.report["verdict"] == "fail"
    # Nothing was run in the last worker.
    assert stand.said("step-started", by=killed) == 0
    if kind == "postgres":
        await stand.catalog.close()


async def test_workers_that_are_told_to_stop_do_not_count_as_deaths(stand: Stand) -> None:
    await stand.queue_gate()
    for number in range(1, MAX_TRIES + 2):
        worker = stand.start(plan=GATED)
        await until(lambda n=number: stand.said("assessment_id=a1 step=gate") == n)  # type: ignore[misc]
        worker.terminate()
        assert worker.wait(TIMEOUT) == 0
    stand.open_gate()
    stand.start(plan=GATED)
    done = await stand.ended()
    assert [step.state for step in done.steps] == ["done"] * 3
    assert stand.said("step-given-up") == 0


async def test_a_storage_that_is_away_for_a_while_costs_no_attempt_and_no_step(
    stand: Stand, small_video: Path
) -> None:
    await stand.queue(small_video)
    stand.start(elsewhere=True, lease=LONG)
    await until(lambda: stand.said("assessment-released") == 1)
    (stand.data / "away").write_text("it is back")
    done = await stand.ended()
    assert (done.state, done.attempts) == (AssessmentState.DONE, 1)
    assert done.report is not None
    assert codes(dict(done.report)) == ["VIS-BLACK", "VIS-FREEZE", "AUD-SILENCE"]
    assert [stand.said(f"step={name}") for name in PLAN] == [2, 1, 1, 1, 1]


# Upgrading.

#: What another version of Wherry might do, which has neither `audio` nor `integrity`.
OTHER_PLAN = ("probe", "visual", "poster")


async def test_what_another_version_began_is_finished_by_its_own_plan(
    stand: Stand, small_video: Path
) -> None:
    await stand.queue(small_video)
    worker = stand.start(lease=0.5, plan=OTHER_PLAN)
    await until(lambda: stand.said("step=visual") > 0)
    worker.kill()
    worker.wait()
    stand.start(lease=0.5)
    done = await stand.ended()
    assert done.report is not None
    check_report(done.report)
    assert codes(dict(done.report)) == ["VIS-BLACK", "VIS-FREEZE"]
    assert tuple(step["name"] for step in done.report["engine"]["steps"]) == OTHER_PLAN
    assert stand.said("step=probe") == 1


async def test_a_step_that_was_uninstalled_fails_and_the_others_are_done(
    stand: Stand, tmp_path: Path
) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"go")
    await stand.queue(file)
    stand.start(plan=["before", "gone", "after"])
    done = await stand.ended()
    assert [step.state for step in done.steps] == ["done", "failed", "done"]
    assert done.report is not None
    assert [f["message"] for f in done.report["findings"]] == [
        "The step gone failed: it is not installed any more."
    ]


# Stopping.


async def test_a_worker_told_to_stop_hands_its_work_over_at_once(stand: Stand) -> None:
    await stand.queue_gate()
    # The next worker gets the work only if the first gave it back.
    worker = stand.start(plan=GATED, lease=LONG)
    await stand.in_gate()
    worker.terminate()
    assert worker.wait(TIMEOUT) == 0
    await until(lambda: not inhabitants(stand.data))
    stand.start(plan=GATED, lease=LONG)
    await assert_done_once(stand)


# Several workers.


@pytest.mark.parametrize("is_forgotten", [True, False], ids=["forgotten", "deleted"])
async def test_of_a_file_that_is_deleted_while_it_is_assessed_nothing_is_left(
    stand: Stand, tmp_path: Path, is_forgotten: bool
) -> None:
    """`keep_complete_records` may be short: then its record and its assessment go, too."""
    await stand.queue_gate()
    stand.start(plan=GATED)
    await stand.in_gate()
    drawn = stand.data / "assessments" / "a1" / "poster.jpg"
    LocalPictures(Folders(stand.data, (), durable=False), durable=False).put("a1", drawn.name, b"")
    with stand.files[1].open("r+b") as file:
        keep = SHORTEST if is_forgotten else None
        app = App(Settings(data=stand.data, keep_complete_records=keep, min_free=0))
        async with app.beside() as engine:
            await engine.discard(Caller("ada"), upload_id_of(1))
            # A step that was at it draws once more. Not after the sweep: by then, the worker may
            # know that the record is gone, and let no step draw any more.
            LocalPictures(Folders(stand.data, (), False), False).put("a1", drawn.name, b"")
            await engine.sweep()
        if not is_forgotten:
            file.write(b"go")
            file.flush()
        (open_gate := tmp_path / "open").write_bytes(b"go")
        await stand.queue(open_gate, 2)
        assert (await stand.ended("a2")).state is AssessmentState.DONE
    if is_forgotten:
        with pytest.raises(NotThere):
            await stand.catalog.load_assessment("a1")
    else:
        assert (await stand.ended("a1")).state is AssessmentState.DONE
    await until(lambda: not drawn.parent.exists())
    assert stand.said("worker-failed") == 0
    await until(lambda: workflows_in(stand.data) == 0)


async def test_what_a_dead_worker_left_is_removed_although_the_record_is_gone(
    stand: Stand,
) -> None:
    await stand.queue_gate()
    worker = stand.start(plan=GATED)
    await stand.in_gate()
    worker.kill()
    app = App(Settings(data=stand.data, keep_complete_records=SHORTEST, min_free=0))
    async with app.beside() as engine:
        await engine.discard(Caller("ada"), upload_id_of(1))
        await engine.sweep()
    (drawn := stand.data / "assessments" / "a1").mkdir(parents=True)
    assert workflows_in(stand.data) == 1
    stand.start(plan=GATED)
    await until(lambda: workflows_in(stand.data) == 0)
    assert not drawn.exists()


def workflows_in(data: Path) -> int:
    with closing(sqlite3.connect(data / "dbos.sqlite")) as database:
        return int(database.execute("SELECT count(*) FROM workflow_status").fetchone()[0])


async def test_two_workers_make_one_report(stand: Stand) -> None:
    await stand.queue_gate()
    stand.start(plan=GATED, lease=LONG)
    stand.start(plan=GATED, lease=LONG)
    await until(lambda: stand.said("worker-started") == 2)
    await stand.in_gate()
    stand.open_gate()
    await stand.ended()
    await until(lambda: stand.said("assessment-done") > 0)  # logged after it is recorded
    begun = [stand.said(f"step={name}") for name in GATED]
    assert (begun, stand.said("assessment-done")) == ([1, 1, 1], 1)


async def test_of_the_workers_that_servers_start_one_works_and_the_next_takes_over(
    stand: Stand,
) -> None:
    first = stand.start(plan=GATED, until_stdin_closes=True)
    await until(lambda: stand.said("worker-started", by=0) == 1)
    second = stand.start(plan=GATED, until_stdin_closes=True)
    await stand.queue_gate()
    await stand.in_gate()
    assert stand.said("worker-started", by=1) == 0
    first.kill()
    await until(lambda: stand.said("worker-started", by=1) == 1)
    await assert_done_once(stand)
    assert second.poll() is None


async def test_a_worker_that_slept_through_its_lease_writes_nothing(stand: Stand) -> None:
    await stand.queue_gate()
    sleeper = stand.start(plan=GATED, lease=1.0)
    await stand.in_gate()
    stop(sleeper, stand.data / "catalog.sqlite", stand.data / "dbos.sqlite")
    lost = stand.said("lease-lost", by=0)  # on a busy machine, it may have been late before
    stand.start(plan=GATED, lease=1.0)
    await until(lambda: stand.said("workflow-resumed", by=1) == 1)
    await until(lambda: stand.said("step=gate", by=1) == 1)
    stand.open_gate()
    done = await stand.ended()
    sleeper.send_signal(signal.SIGCONT)
    await until(lambda: stand.said("lease-lost", by=0) > lost)
    assert await stand.catalog.load_assessment("a1") == done
    assert stand.said("assessment-done", by=0) == 0
    assert stand.said("step=after", by=0) == 0
    sleeper.terminate()
    assert sleeper.wait(TIMEOUT) == 0


async def test_a_worker_that_gets_its_lease_back_goes_on_where_it_was(stand: Stand) -> None:
    await stand.queue_gate()
    stand.start(plan=GATED)
    await stand.in_gate()
    taken = time.monotonic() + 1.0
    await stand.catalog.update_assessment(
        "a1", lambda a: replace(a, token="another's", leased_until=taken)
    )
    await until(lambda: stand.said("lease-lost") == 1)
    # The step ends while the worker has no lease, and the next one does not begin.
    stand.open_gate()
    done = await stand.ended()
    assert done.attempts == 2
    assert [stand.said(f"step={name}") for name in GATED] == [1, 1, 1]


# Hostile files.


async def test_steps_that_hang_or_crash_fail_and_the_report_says_so(stand: Stand) -> None:
    await stand.queue_gate()
    names = ("sleeper", "crasher", "suicide", "loud", "after")
    stand.start(plan=names, lease=LONG, deadlines=[1.0])  # only the first one hangs
    done = await stand.ended()
    assert [step.state for step in done.steps] == ["failed"] * 4 + ["done"]
    # None of them took the worker along.
    assert (done.state, done.attempts) == (AssessmentState.DONE, 1)
    assert done.report is not None
    assert (done.report["verdict"], codes(dict(done.report))) == ("fail", ["STEP-FAILED"] * 4)


async def test_a_file_that_is_gone_fails_and_one_that_is_no_video_is_looked_at_once(
    stand: Stand, tmp_path: Path
) -> None:
    await stand.queue(make_text(tmp_path / "gone.mp4"), 1)
    stand.files[1].unlink()
    await stand.queue(make_text(tmp_path / "novel.mp4"), 2)
    stand.start()
    gone, text = await stand.ended("a1"), await stand.ended("a2")
    assert gone.state is AssessmentState.FAILED
    assert gone.problem == "its file is not there any more"
    assert text.report is not None
    assert codes(dict(text.report)) == ["FILE-UNREADABLE"]
    assert [step.state for step in text.steps] == ["done", *["skipped"] * (len(PLAN) - 1)]
    assert stand.said("step-started") == 1
