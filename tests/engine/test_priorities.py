"""The application gives an assessment its priority, whichever way its file is completed."""

from __future__ import annotations

import pytest
from tests.engine.conftest import ALICE, Bytes, Gathered, World, created, written

from wherry.core.requests import Create
from wherry.engine import Engine, FinishedFile, Hooks, Priority

pytestmark = pytest.mark.anyio

DATA = b"film" * 100
WAYS = ("at once", "in chunks", "with a hook", "in one request, in steps")


async def complete(world: World, way: str, priority: Priority) -> int:
    """The priority of the assessment of a file that came this way."""
    hooks = Hooks(before_complete=lambda _: None) if way == "with a hook" else None
    engine: Engine = world.engine(hooks=hooks, priority=priority)
    # What a client says of priorities is only text.
    create = Create("film.mp4", len(DATA), metadata={"priority": "99", "course": "7"})
    if way == "at once":
        await engine.receive(ALICE, create, Gathered(DATA))
    elif way == "in one request, in steps":
        await engine.receive(ALICE, create, Bytes(DATA))
    else:
        upload = await created(engine, len(DATA), metadata=dict(create.metadata))
        await written(engine, upload, 0, DATA)
        await engine.complete(ALICE, upload.id)
    [assessment] = await world.catalog.assessments()
    return assessment.priority


@pytest.mark.parametrize("way", WAYS)
async def test_a_number_is_the_priority_of_every_assessment(world: World, way: str) -> None:
    assert await complete(world, way, -5) == -5


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_cannot_set_a_priority(world: World, way: str) -> None:
    assert await complete(world, way, 0) == 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_function_gets_the_finished_file(world: World, way: str) -> None:
    seen: list[FinishedFile] = []

    def priority(file: FinishedFile) -> int:
        seen.append(file)
        with file.open() as opened:
            assert opened.read() == DATA
        return 10 * int(file.metadata["course"])

    assert await complete(world, way, priority) == 70
    [file] = seen
    assert (file.owner, file.size, file.filename) == ("alice", len(DATA), "film.mp4")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [101, "high", None, SystemExit(3), ValueError("theirs")])
async def test_a_function_that_fails_costs_no_file(
    world: World, way: str, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    def priority(_: FinishedFile) -> int:
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]

    assert await complete(world, way, priority) == 0
    assert caplog.text.count("priority-failed") == 1
