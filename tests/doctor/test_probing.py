"""Which requests are made, against a line whose answers are recorded."""

from __future__ import annotations

import json
from collections.abc import Callable

from wherry.doctor.address import parse_address
from wherry.doctor.exchange import Ask, Line
from wherry.doctor.limiting import FORM, TYPE
from wherry.doctor.measured import Cors
from wherry.doctor.probing import Probing
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending

MiB = 1 << 20


class Recorded(Line):
    """Answers each request by a function of it."""

    def __init__(self, answer: Callable[[Ask], Reply]) -> None:
        self.asked: list[Ask] = []
        self._answer = answer

    def exchange(self, ask: Ask) -> Reply:
        self.asked.append(ask)
        return self._answer(ask)

    def close(self) -> None: ...


def probing(answer: Callable[[Ask], Reply]) -> tuple[Probing, Recorded]:
    line = Recorded(answer)
    address = parse_address("https://example.org/api")
    return Probing(address, line, Spending(32 * MiB, 30)), line


def probed(ask: Ask, **facts: object) -> Reply:
    body = {"bytes": ask.length, "first_byte": 0.0, "headers": {}, "interim": []} | facts
    return Reply(End.ANSWER, 200, {"server": "nginx"}, json.dumps(body).encode())


def test_where_a_filter_refuses_raw_bodies_they_are_sent_as_forms() -> None:
    def answer(ask: Ask) -> Reply:
        is_raw = TYPE in ask.headers
        return Reply(End.ANSWER, 403, {}, b"<h1>Forbidden</h1>") if is_raw else probed(ask)

    probe, line = probing(answer)
    assert probe.small().status == 200
    limit, _ = probe.limit()
    assert limit.refuses is None
    assert all(FORM in ask.headers for ask in line.asked[1:])


def test_a_login_that_is_missing_is_not_taken_for_a_filter() -> None:
    probe, line = probing(lambda ask: Reply(End.ANSWER, 403, {}, b'{"detail": "no"}'))
    assert probe.small().status == 403
    assert probe.kind == TYPE
    assert len(line.asked) == 3  # the second one as a form, the third one for its time


def test_an_interim_answer_is_final_if_the_proxy_did_not_touch_what_followed() -> None:
    def passes_both_on(ask: Ask) -> Reply:
        reply = probed(ask, interim=[103, 104])
        if "interim" in ask.path:
            reply.interim, reply.headers = (103, 104), {}
        return reply

    probe, _ = probing(passes_both_on)
    probe.small()
    found = probe.interim()["interim"]
    assert (found["103"], found["104"]) == ("final", "final")

    probe, _ = probing(lambda ask: Reply(End.TIMEOUT) if "=104" in ask.path else probed(ask))
    probe.small()
    assert probe.interim()["interim"] == {"100": "missing", "103": None, "104": "final"}

    def passes(ask: Ask) -> Reply:
        reply = probed(ask, interim=[103])
        reply.interim = (103,)
        return reply

    probe, _ = probing(passes)
    probe.small()
    assert probe.interim()["interim"] == {"100": "missing", "103": "passed", "104": None}


def test_without_an_origin_cors_on_refusals_is_asked_for_the_address_itself() -> None:
    def answer(ask: Ask) -> Reply:
        return probed(ask) if (ask.length or 0) <= MiB else Reply(End.ANSWER, 413, is_early=True)

    def cors(origin: str | None) -> Cors:
        probe, line = probing(answer)
        probe.small()
        limit, _ = probe.limit()
        del line.asked[:]
        found: Cors = probe.cors(origin, limit)["cors"]
        sent = {value for ask in line.asked for name, value in ask.headers if name == "origin"}
        assert sent == {found.origin}
        return found

    own = "https://example.org"
    assert cors(None) == cors(own) == Cors(own, None, False)
    assert cors("https://app.example.org") == Cors("https://app.example.org", False, False)
