"""Events: one line each, counted by the same call, with no facts but their own."""

from __future__ import annotations

import io
import json
import logging
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from wherry.client import Client
from wherry.events import Area, Event, Facts, log_event, request_id
from wherry.events.lines import JsonLines
from wherry.metrics import Metrics
from wherry.testing.server import serving


def test_an_event_has_no_fact_that_is_not_defined_and_every_fact_is_used() -> None:
    used = {fact for event in Event for fact in event.value.facts}
    assert used == set(Facts.__annotations__)


def test_the_names_of_events_are_fit_for_the_log_and_unique_for_each_logger() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", event.label) for event in Event)
    names = Counter((event.value.area.logger.name, event.label) for event in Event)
    assert set(names.values()) == {1}


@pytest.mark.parametrize("event", Event)
def test_an_event_is_logged_at_its_level_by_the_logger_of_its_area(
    event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "wherry"):
        log_event(event)
    (record,) = caplog.records
    assert record.levelno == event.value.level
    own = "wherry.assessment" if event.value.area is Area.ASSESSMENTS else "wherry"
    assert record.name == own
    assert record.getMessage() == event.label


def test_what_an_event_feeds_is_among_its_facts() -> None:
    feeds = [(event, feed) for event in Event for feed in event.value.feeds]
    for event, feed in feeds:
        assert feed.fact in (None, *event.value.facts)
        assert feed.label in (None, "event", *event.value.facts)
    freeing = {event for event, feed in feeds if feed.metric == "freed_bytes"}
    assert {event.label for event in freeing} == {
        *("cancelled", "expired", "failed"),
        *("vanished", "discarded", "turn-missed"),
    }


def test_a_fact_that_the_event_does_not_have_is_an_error() -> None:
    metrics = Metrics()
    with pytest.raises(TypeError, match=r"Event\.DISCARDED has no facts seconds"):
        log_event(Event.DISCARDED, metrics=metrics, seconds=1.0)


def test_values_with_blanks_are_quoted_and_the_request_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = request_id.set("r1")
    try:
        log_event(Event.STORAGE_FAILED, problem='no "disk"')
        log_event(Event.WORKER_ENDED_LATE, seconds=2.5)
    finally:
        request_id.reset(token)
    quoted, timed = [record.getMessage() for record in caplog.records]
    assert quoted == r'storage-failed problem="no \"disk\"" request_id=r1'
    assert timed == "worker-ended-late seconds=2.500 request_id=r1"


def test_as_json_a_line_has_the_facts_with_their_types(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "wherry"):
        token = request_id.set("r1")
        try:
            raise OSError("gone\naway")
        except OSError as error:
            log_event(Event.REFUSED, code="x", status=503, seconds=0.25, trace=error)
        finally:
            request_id.reset(token)
        logging.getLogger("wherry").info("%s and\n%s", "one", "two")
    event, other = (json.loads(line) for line in map(JsonLines().format, caplog.records))
    assert "gone\naway" in event.pop("traceback")
    assert datetime.fromisoformat(event.pop("time")).tzinfo is not None
    about = {"level": "warning", "logger": "wherry", "event": "refused", "request_id": "r1"}
    assert event == about | {"code": "x", "status": 503, "seconds": 0.25}
    assert (other["message"], other["level"]) == ("one and\ntwo", "info")


def test_a_server_writes_its_log_as_it_is_told(tmp_path: Path) -> None:
    options = {"log_format": "json", "log_level": "debug", "assessment": False}
    with serving(tmp_path / "data", **options) as server, Client(f"{server.url}/api") as client:
        done = client.upload(io.BytesIO(b"x" * 100))
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert all({"time", "level", "logger"} <= line.keys() for line in lines)
    of_upload = [line["event"] for line in lines if line.get("upload_id") == done.upload_id]
    assert "complete" in of_upload
    assert "debug" in {line["level"] for line in lines}
