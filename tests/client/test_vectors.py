"""The decisions of the client, as the vectors say them: see tests/vectors/README.md."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from wherry.client import errors
from wherry.client.answers import (
    Answer,
    UploadStatus,
    parse_error,
    parse_missing,
    parse_upload,
    refused_by,
)
from wherry.client.backoff import Backoff
from wherry.client.chunk_size import ChunkSize, NetworkPath
from wherry.client.decisions import Next, Verb, wants_fresh_headers, what_next
from wherry.client.direct import DirectWay
from wherry.client.early_verdict import EarlyQuestions
from wherry.client.errors import ClientError, ConnectionLost, TimedOut, UnexpectedAnswer
from wherry.client.one_request import OneRequest
from wherry.client.plan import Chunk, Plan
from wherry.client.ranges import gaps, overlap
from wherry.core.ranges import Range
from wherry.protocols.problem import STATUS

VECTORS = Path(__file__).parents[1] / "vectors"
NOW = "2026-11-27T12:00:00Z"


def load(name: str) -> list[dict[str, Any]]:
    file = json.loads((VECTORS / f"{name}.json").read_text())
    assert file.get("at", NOW) == NOW
    vectors: list[dict[str, Any]] = file["vectors"]
    names = [vector["name"] for vector in vectors]
    assert len(set(names)) == len(names), "each name is there once"
    return vectors


def named(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


FILES = ("answers", "values", "plans", "resume", "one-request", "paths")
ANSWERS, VALUES, PLANS, RESUME, ONE_REQUEST, PATHS = map(load, FILES)
EARLY = load("early-verdict")
DIRECT: dict[str, list[dict[str, Any]]] = json.loads((VECTORS / "direct.json").read_text())
BY_NAME = {vector["name"]: vector["answer"] for vector in ANSWERS}


def answer(given: dict[str, Any]) -> Answer:
    headers, body = given.get("headers", {}), given.get("body", "")
    if "problem" in given:
        headers = {"content-type": "application/problem+json"} | headers
        kind = {"type": f"urn:wherry:problem:{given['problem'].get('code')}"}
        body = json.dumps(kind | given["problem"])
    return Answer(given["status"], headers, body.encode(), datetime.fromisoformat(NOW).timestamp())


@named(ANSWERS)
def test_an_answer_is_the_error_that_the_vectors_say(vector: dict[str, Any]) -> None:
    error = parse_error(answer(vector["answer"]))
    assert isinstance(error, getattr(errors, vector["error"]))
    found = (error.status, error.code, error.retryable, error.retry_after)
    assert found == tuple(vector[name] for name in ("status", "code", "retryable", "retry_after"))
    verbs: tuple[Verb, ...] = ("init", "status", "chunk", "complete", "upload")
    assert {verb: what_next(error, verb).value for verb in verbs} == vector["next"]
    assert wants_fresh_headers(error) is vector.get("fresh_headers", False)
    if "by" in vector:
        assert refused_by(answer(vector["answer"])) == vector["by"]
        assert (vector["by"] or "a proxy") in str(error)


@named(VALUES)
def test_an_answer_is_the_value_that_the_vectors_say(vector: dict[str, Any]) -> None:
    parse = parse_upload if vector["kind"] == "upload" else parse_missing
    if vector["value"] is None:
        with pytest.raises(UnexpectedAnswer) as unexpected:
            parse(answer(vector["answer"]))
        assert what_next(unexpected.value, "chunk") is Next.LOOK
        return
    found = parse(answer(vector["answer"]))
    if isinstance(found, UploadStatus):
        value = {name: getattr(found, name) for name in vector["value"]}
        assert value | {"received": pairs(found.received)} == vector["value"]
    else:
        assert pairs(found) == vector["value"]


def pairs(ranges: Any) -> list[list[int]]:
    return [[one.start, one.end] for one in ranges]


def ranges(given: list[list[int]]) -> list[Range]:
    return [Range(start, end) for start, end in given]


def error_of(outcome: str) -> ClientError:
    if outcome == "lost":
        return ConnectionLost("lost", retryable=True)
    if outcome == "timed-out":
        return TimedOut("timed out", retryable=True)
    return parse_error(answer(BY_NAME[outcome]))


class Played:
    """A plan to which the steps of a vector happen."""

    def __init__(self, vector: dict[str, Any]) -> None:
        size = ChunkSize(NetworkPath(**vector["way"]), vector["preferred"], vector["floor"])
        patience = Backoff(vector["patience"])
        missing, parts = ranges(vector["missing"]), vector.get("part_size")
        tail = vector.get("tail", 0)
        self.plan = Plan(
            vector["length"], missing, size, vector["concurrency"], patience, parts, tail
        )
        self._flying: dict[tuple[int, int], Chunk] = {}

    def step(self, step: dict[str, Any]) -> dict[str, Any]:
        """The step as it comes out."""
        at, plan = step["at"], self.plan
        found: dict[str, Any] = {name: step[name] for name in ("at", "answers") if name in step}
        for one in step.get("answers", ()):
            try:
                self._answer(one, at)
            except ClientError as error:
                return found | {"ends": type(error).__name__}
        if "looked" in step:
            received = step["looked"]["received"]
            found["looked"] = {"received": received, "refused": None}
            try:
                found["looked"]["refused"] = plan.looked(ranges(received))
            except ClientError as error:
                return found | {"ends": type(error).__name__}
        found["sends"] = []
        while (chunk := plan.next(at)) is not None:
            number = [] if chunk.part is None else [chunk.part]
            found["sends"].append([chunk.range.start, chunk.range.end, *number])
            self._flying[chunk.range.start, chunk.range.end] = chunk
        if plan.size.path.as_form:
            found["as_form"] = True
        if plan.must_look:
            found["must_look"] = True
        if plan.is_done:
            found["done"] = True
        elif not plan.is_flying:
            found["until"] = pytest.approx(plan.backoff.until, abs=1e-6)
        return found

    def _answer(self, one: dict[str, Any], at: float) -> None:
        start, end = one["to"]
        chunk = self._flying.pop((start, end))
        if one["with"] in ("again", "in chunks", "chunks"):
            self._not_sent(chunk, one["with"], at)
            return
        if one["with"] != "ok":
            self.plan.failed(chunk, error_of(one["with"]), at, jitter=1.0)
            return
        self.plan.passed(chunk, at)
        if "missing" in one:
            self.plan.learned(ranges(one["missing"]))

    def _not_sent(self, chunk: Chunk, then: str, at: float) -> None:
        """The store has not taken a part."""
        if then == "again":
            failed = ClientError("the store has failed", code="store-failed", retryable=True)
            self.plan.took_back(chunk)
            self.plan.backoff.failed(failed, chunk.began, at, 1.0)
            return
        self.plan.to_chunks(chunk)
        if then == "chunks":
            self.plan.end_direct()


@named(DIRECT["ways"])
def test_the_way_to_the_store_is_given_up_as_the_vectors_say(vector: dict[str, Any]) -> None:
    way = DirectWay()
    for step in vector["steps"]:
        if step["put"] == "passed":
            way.passed(step["began"])
        else:
            assert way.failed(step["put"], step["began"], step["at"]) is way.is_open
        assert ("again" if way.is_open else "chunks") == step["then"], step


@named(DIRECT["plans"])
def test_a_plan_with_parts_goes_as_the_vectors_say(vector: dict[str, Any]) -> None:
    played = Played(vector)
    assert [played.step(step) for step in vector["steps"]] == vector["steps"]


@named(EARLY)
def test_the_early_verdict_is_asked_for_as_the_vectors_say(vector: dict[str, Any]) -> None:
    questions = EarlyQuestions(vector["length"], vector["tail"])
    for step in vector["steps"]:
        if "asks" in step:
            safe = ranges(step["safe"])
            left = step.get("left", 60.0)
            is_due = questions.is_due(lambda one, safe=safe: overlap([one], safe) == [one], left)  # type: ignore[misc]
            assert is_due is step["asks"], step
            continue
        verdict = questions.answered(step["answer"])
        found = (None, []) if verdict is None else (verdict.verdict, verdict.findings)
        codes = [one.code for one in found[1]]
        assert (found[0], codes) == (step["verdict"], step["findings"])


@named(PLANS)
def test_a_plan_goes_as_the_vectors_say(vector: dict[str, Any]) -> None:
    played = Played(vector)
    assert [played.step(step) for step in vector["steps"]] == vector["steps"]


def after_one_request(one: OneRequest, size: ChunkSize, step: dict[str, Any]) -> dict[str, Any]:
    """The step as it comes out; with those of its facts that the vector names."""
    found: dict[str, Any] = step | {"next": one.next}
    outcome = step.get("with")
    if outcome == "ok" and one.next == "send":
        size.note_passed(one.length, 0)
    elif outcome == "nothing":
        refused = one.absent()
        found |= {"refused": refused} if "refused" in step else {}
    elif outcome not in (None, "ok"):
        error = error_of(outcome)
        if one.next == "send":
            one.failed(error, step.get("seconds", 1))
        else:
            one.suspected = None
        found["then"] = what_next(error, "upload").value
    if "way" in step:
        found["way"] = {name: getattr(size.path, name) for name in step["way"]}
    return found


@named(ONE_REQUEST)
def test_a_file_in_one_request_goes_as_the_vectors_say(vector: dict[str, Any]) -> None:
    size = ChunkSize(NetworkPath(**vector["way"]), vector["preferred"], vector["floor"])
    one = OneRequest(vector["length"], size, vector.get("margin", 0))
    assert [after_one_request(one, size, step) for step in vector["steps"]] == vector["steps"]


@named(PATHS)
def test_what_the_server_knows_of_a_path_is_taken_as_the_vectors_say(
    vector: dict[str, Any],
) -> None:
    size = ChunkSize(NetworkPath(**vector["way"]))
    size.told(**vector["told"])
    assert {"passed": size.path.passed, "refused": size.path.refused} == vector["then"]


@named(RESUME)
def test_an_upload_goes_on_as_the_vectors_say(vector: dict[str, Any]) -> None:
    seen = parse_upload(answer(vector["answer"]))
    assert then(seen) == vector["then"]
    if vector["sends"] is not None:
        missing = gaps(seen.received, vector["size"])
        plan = Plan(vector["size"], missing, ChunkSize(), 4, Backoff(300))
        assert pairs(plan.to_send) == vector["sends"]


def then(seen: UploadStatus) -> str:
    if seen.is_waiting:
        return "line"
    if seen.has_arrived:
        return "complete"
    try:
        seen.check_not_gone()
    except ClientError as gone:
        return what_next(gone, "status").value
    return "send"


def test_every_error_of_the_server_has_its_vector() -> None:
    for kind, status in STATUS.items():
        problems = [vector["answer"].get("problem", {}) for vector in ANSWERS]
        mine = [
            problem
            for problem, vector in zip(problems, ANSWERS, strict=True)
            if problem.get("code") == kind.code and vector["answer"]["status"] == status
        ]
        assert mine, f"tests/vectors/answers.json says nothing of {kind.code} ({status})"
        waits = "retry_after" in {field.name for field in fields(kind)}  # type: ignore[arg-type]
        assert waits is any("retry_after" in problem for problem in mine), kind.code
        for problem in mine:
            assert problem["retryable"] is kind.retryable, kind.code


def test_every_decision_is_in_the_vectors() -> None:
    decided = {after for vector in ANSWERS for after in vector["next"].values()}
    assert decided == {after.value for after in Next}
