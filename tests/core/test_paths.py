"""What is learned of a path: by what passes, and by what clients say, honest or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.limits import LARGEST_SIZE, KiB, MiB
from wherry.core.paths import (
    IDLE_AFTER,
    KEEP_PASSES,
    KEEP_REPORTS,
    LEAST,
    MOST_HOSTS,
    MOST_REPORTS,
    QUORUM,
    RENEW_AFTER,
    SHARE,
    Fact,
    Passed,
    Path,
    PathLimits,
    Paths,
    Report,
    learn_all,
    parse_host,
    parse_refused_by,
    reporter_of,
    without,
)

NOW = 1_000_000.0
HOST = "example.org"
NOTHING = PathLimits(None, None)


def path(*facts: Fact) -> Path:
    return learn_all({}, {HOST: facts}, NOW)[HOST]


def body(size: int, at: float = NOW, who: object = "somebody") -> Passed:
    return Passed(str(who), size, at)


def report(who: object, size: int, at: float = NOW, passed: int = 0, by: str = "") -> Report:
    return Report(str(who), size, at, passed, by)


def quorum(size: int, at: float = NOW, passed: int = 0) -> list[Report]:
    return [report(f"q{n}", size, at, passed) for n in range(QUORUM)]


def told(known: Path, who: object = "stranger", now: float = NOW) -> PathLimits:
    return known.limits_for(str(who), now)


# What passes.


def test_the_largest_body_that_has_arrived_passes() -> None:
    assert told(path(body(1 * MiB), body(5 * MiB), body(2 * MiB))) == (PathLimits(5 * MiB, None))


def test_a_body_below_the_smallest_chunk_shows_nothing() -> None:
    assert learn_all({}, {HOST: [body(LEAST - 1)]}, NOW) == {}
    assert told(path(body(LEAST))) == PathLimits(LEAST, None)


def test_what_passed_is_forgotten_after_a_week_without_a_body_of_its_size() -> None:
    later = NOW + KEEP_PASSES
    known = path(body(5 * MiB), body(1 * MiB, later - 1))
    assert told(known, now=later - 1) == PathLimits(5 * MiB, None)
    assert told(known, now=later) == NOTHING
    assert told(known.learn(body(1 * MiB, later)), now=later) == PathLimits(1 * MiB, None)
    renewed = path(body(5 * MiB), body(5 * MiB, later - 1))
    assert told(renewed, now=later + 1) == PathLimits(5 * MiB, None)


def test_what_is_known_already_is_no_news_for_an_hour() -> None:
    known = path(body(5 * MiB))
    for size in (0, LEAST, 5 * MiB):
        assert known.learn(body(size, NOW + RENEW_AFTER - 1)) is known
    assert known.learn(body(5 * MiB + 1)) is not known
    assert known.learn(body(5 * MiB, NOW + RENEW_AFTER)).passed_at == NOW + RENEW_AFTER
    smaller = known.learn(body(LEAST, NOW + RENEW_AFTER))
    assert (smaller.seen_at, smaller.passes) == (NOW + RENEW_AFTER, 5 * MiB)
    assert smaller.passed_at == NOW


# What clients say.


def test_an_owner_is_told_what_he_has_reported_himself_and_nobody_else_is() -> None:
    known = path(body(1 * MiB), report("alice", 2 * MiB))
    assert told(known, "alice") == PathLimits(1 * MiB, 2 * MiB)
    assert told(known, "bob") == PathLimits(1 * MiB, None)


def test_everybody_is_told_when_enough_owners_have_reported() -> None:
    few = path(body(1 * MiB), *quorum(2 * MiB)[1:])
    assert told(few) == PathLimits(1 * MiB, None)
    enough = path(body(1 * MiB), *quorum(2 * MiB))
    assert told(enough) == PathLimits(1 * MiB, 2 * MiB)


def test_one_owner_who_reports_often_is_one_owner() -> None:
    known = path(body(1 * MiB), *(report("mallory", n * LEAST) for n in range(90, 20, -1)))
    assert told(known) == PathLimits(1 * MiB, None)
    assert known.summary(NOW).owners == 1


def test_fewer_owners_than_a_quorum_cannot_lower_what_others_are_told() -> None:
    known = path(*quorum(2 * MiB), *(report(f"m{n}", LEAST) for n in range(QUORUM - 1)))
    assert told(known) == PathLimits(None, 2 * MiB)


def test_a_body_that_passes_ends_its_owners_report_of_its_size_or_less() -> None:
    known = path(report("alice", 2 * MiB), body(2 * MiB, who="alice"))
    assert known.reports == ()
    assert told(known, "alice") == PathLimits(2 * MiB, None)
    larger = path(report("alice", 3 * MiB), body(2 * MiB, who="alice"))
    assert told(larger, "alice") == PathLimits(2 * MiB, 3 * MiB)


def test_bodies_of_enough_owners_end_every_report_of_their_size_or_less() -> None:
    wide = [body(size, who=f"w{size}") for size in range(2 * MiB, 2 * MiB + QUORUM)]
    known = path(*quorum(2 * MiB), report("alice", 3 * MiB), *wide)
    assert told(known, "alice") == PathLimits(2 * MiB + QUORUM - 1, 3 * MiB)
    for who in ("stranger", "q0"):
        assert told(known, who) == PathLimits(2 * MiB + QUORUM - 1, None)


def test_the_operator_sees_that_larger_bodies_have_passed_since_the_reports() -> None:
    known = path(body(21 * MiB, who="wide"), report("alice", 2 * MiB), report("bob", 3 * MiB))
    assert not known.summary(NOW).has_passed_since
    some = known.learn(body(2 * MiB, who="wide"))
    assert not some.summary(NOW).has_passed_since
    each = some.learn(body(3 * MiB, who="wide"))
    assert each.summary(NOW).has_passed_since
    again = each.learn(report("carol", 2 * MiB))
    assert not again.summary(NOW).has_passed_since
    assert not path(body(21 * MiB)).summary(NOW).has_passed_since


def test_the_operator_sees_the_newest_address_that_is_certain() -> None:
    assert path(report("alice", 2 * MiB)).summary(NOW).address is None
    old, new = (
        replace(report(who, 2 * MiB), address=f"https://{HOST}/{who}") for who in ("alice", "bob")
    )
    known = path(old, new, report("carol", 2 * MiB))
    assert known.summary(NOW).address == f"https://{HOST}/bob"


def test_an_owner_who_comes_by_a_wider_way_changes_nothing_for_the_others() -> None:
    narrow = path(body(1 * MiB), *quorum(2 * MiB, passed=1 * MiB))
    known = narrow.learn(body(64 * MiB, who="inside"))
    for who in ("stranger", "q0"):
        assert told(known, who) == PathLimits(1 * MiB, 2 * MiB)
    assert told(known, "inside") == PathLimits(1 * MiB, None)
    assert known.learn(body(64 * MiB, who="inside")) is known
    # Also where nobody had reported yet, and when the reports are forgotten.
    known = path(body(64 * MiB, who="inside"), *quorum(2 * MiB, passed=1 * MiB))
    known = known.learn(body(64 * MiB, who="inside"))
    assert told(known) == PathLimits(1 * MiB, 2 * MiB)
    assert told(known, now=NOW + KEEP_REPORTS) == PathLimits(1 * MiB, None)


def test_a_reporter_who_reports_again_is_believed_until_enough_deny_it_again() -> None:
    denials = [body(2 * MiB, who=n) for n in range(QUORUM - 1)]
    known = path(report("alice", 2 * MiB), *denials)
    assert told(known, "alice") == PathLimits(None, 2 * MiB)
    assert told(known, "0") == PathLimits(2 * MiB, None)
    known = known.learn(report("alice", 1 * MiB)).learn(body(2 * MiB, who="another"))
    assert told(known, "alice") == PathLimits(None, 1 * MiB)


def test_reports_are_forgotten_after_a_day_so_that_a_wider_ingress_is_noticed() -> None:
    known = path(body(1 * MiB), *quorum(2 * MiB))
    assert told(known, now=NOW + KEEP_REPORTS - 1) == PathLimits(1 * MiB, 2 * MiB)
    assert told(known, now=NOW + KEEP_REPORTS) == PathLimits(1 * MiB, None)
    wider = known.learn(body(2 * MiB, NOW + KEEP_REPORTS))
    assert told(wider, now=NOW + KEEP_REPORTS) == PathLimits(2 * MiB, None)
    assert wider.reports == ()


def test_a_report_of_more_does_not_renew_one_of_less() -> None:
    known = path(report("alice", 2 * MiB), report("alice", 9 * MiB, NOW + 100))
    assert told(known, "alice", NOW + KEEP_REPORTS) == NOTHING
    later = known.learn(report("alice", 9 * MiB, NOW + KEEP_REPORTS))
    assert told(later, "alice", NOW + KEEP_REPORTS) == PathLimits(None, 9 * MiB)


def test_an_ingress_that_became_narrower_is_believed_by_its_reporter_at_once() -> None:
    known = path(body(5 * MiB), report("alice", 2 * MiB, passed=1 * MiB))
    assert told(known, "alice") == PathLimits(1 * MiB, 2 * MiB)
    assert told(known, "bob") == PathLimits(5 * MiB, None)


def test_an_ingress_that_became_narrower_is_believed_by_all_when_enough_have_reported() -> None:
    known = path(body(5 * MiB), *quorum(2 * MiB, passed=1 * MiB))
    assert told(known) == PathLimits(1 * MiB, 2 * MiB)
    # Also when the reports are forgotten: the wide path was another one.
    assert told(known, now=NOW + KEEP_REPORTS) == PathLimits(1 * MiB, None)


def test_a_small_request_that_brings_a_report_does_not_count_as_what_passes() -> None:
    known = path(body(5 * MiB), *quorum(2 * MiB, passed=100))
    assert told(known) == PathLimits(None, 2 * MiB)


@pytest.mark.parametrize(
    "wrong",
    [
        report("m", 0),
        report("m", LEAST - 1),
        report("m", LARGEST_SIZE + 1),
        report("m", 1 * MiB, passed=1 * MiB),
        report("m", 1 * MiB, passed=2 * MiB),
    ],
)
def test_a_report_that_cannot_be_true_or_cannot_help_is_dropped(wrong: Report) -> None:
    assert learn_all({}, {HOST: [wrong]}, NOW) == {}


def test_the_newest_reports_are_kept_up_to_a_bound() -> None:
    known = path(*(report(n, 2 * MiB) for n in range(3 * MOST_REPORTS)))
    assert len(known.reports) == MOST_REPORTS
    assert {each.reporter for each in known.reports} == set(
        map(str, range(2 * MOST_REPORTS, 3 * MOST_REPORTS))
    )


def test_times_far_ahead_are_over_because_the_clock_was_set_back() -> None:
    known = path(body(5 * MiB), *quorum(6 * MiB))
    assert told(known, now=NOW - 5) == PathLimits(5 * MiB, 6 * MiB)
    assert told(known, now=NOW - KEEP_REPORTS) == PathLimits(5 * MiB, None)
    assert told(known, now=NOW - KEEP_PASSES) == NOTHING


SIZES = st.integers(0, 4 * MiB) | st.integers(-1, LARGEST_SIZE + 1)
LIES = st.builds(
    Report,
    reporter=st.sampled_from([f"m{n}" for n in range(QUORUM - 1)]),
    size=SIZES,
    at=st.just(NOW),
    passed=SIZES,
    by=st.sampled_from(["", "nginx"]),
)
BODIES = st.builds(body, st.integers(0, 1 * MiB))


@given(st.lists(LIES | BODIES, max_size=40))
def test_whatever_too_few_owners_report_no_other_is_told_a_refusal(facts: Sequence[Fact]) -> None:
    passed = max((f.size for f in facts if isinstance(f, Passed) and f.size >= LEAST), default=None)
    known = learn_all({}, {HOST: facts}, NOW).get(HOST, Path(HOST, NOW))
    assert told(known) == PathLimits(passed, None)


WIDE = st.builds(body, SIZES, who=st.sampled_from([f"m{n}" for n in range(QUORUM - 1)]))


@given(st.lists(LIES | WIDE, max_size=40))
def test_whatever_too_few_owners_send_and_report_all_others_are_told_what_a_quorum_says(
    facts: Sequence[Fact],
) -> None:
    known = path(body(1 * MiB), *quorum(2 * MiB, passed=1 * MiB), *facts)
    found = told(known)
    assert found.refuses == 2 * MiB
    assert found.passes is not None
    assert 1 * MiB <= found.passes < 2 * MiB


@given(st.lists(LIES | BODIES | WIDE | st.sampled_from(quorum(2 * MiB)), max_size=40), st.data())
def test_what_anybody_is_told_fits_together(facts: Sequence[Fact], data: st.DataObject) -> None:
    known = learn_all({}, {HOST: facts}, NOW).get(HOST, Path(HOST, NOW))
    who = data.draw(st.sampled_from(["m0", "q0", "stranger"]))
    limits = told(known, who)
    if limits.refuses is not None:
        assert LEAST <= limits.refuses <= LARGEST_SIZE
        assert limits.passes is None or LEAST <= limits.passes < limits.refuses


# The operator's view.


def test_the_operator_sees_a_report_that_is_not_confirmed_beside_what_passes() -> None:
    known = path(body(5 * MiB), report("mallory", LEAST + 1, NOW + 1, by="nginx"))
    found = known.summary(NOW + 2)
    assert (found.passes, found.refuses, found.owners) == (5 * MiB, LEAST + 1, 1)
    assert (found.refused_by, found.refused_at, found.is_confirmed) == ("nginx", NOW + 1, False)
    assert found.passed_at == NOW


def test_the_operator_sees_what_is_confirmed_rather_than_what_one_owner_says() -> None:
    known = path(body(1 * MiB), *quorum(2 * MiB), report("mallory", LEAST))
    found = known.summary(NOW)
    assert (found.passes, found.refuses, found.owners) == (1 * MiB, 2 * MiB, QUORUM + 1)
    assert found.is_confirmed


# Many hosts.


def full(now: float = NOW) -> Paths:
    facts = {f"h{n}": [body(LEAST, now + n)] for n in range(MOST_HOSTS)}
    return learn_all({}, facts, now)


def made_up(who: str) -> dict[str, list[Fact]]:
    return {f"{who}-{n}": [body(9 * MiB, who=who)] for n in range(10 * MOST_HOSTS)}


def test_hosts_that_are_made_up_do_not_replace_those_in_use() -> None:
    known = full()
    assert len(known) == MOST_HOSTS
    assert learn_all(known, made_up("somebody"), NOW) == known
    # Another owner gets the places of a few that were idle for longest, and no more.
    others = learn_all(known, made_up("mallory"), NOW)
    assert set(known) - set(others) == {f"h{n}" for n in range(SHARE)}


def test_hosts_that_are_made_up_do_not_keep_out_a_new_one() -> None:
    known = learn_all({}, {HOST: [body(1 * MiB)], **made_up("mallory")}, NOW)
    assert len(known) == MOST_HOSTS
    later = learn_all(known, {"new": [body(1 * MiB)]}, NOW)
    assert set(later) - set(known) == {"new"}
    assert HOST in later


def test_a_new_host_replaces_the_one_that_was_idle_for_longest() -> None:
    later = NOW + IDLE_AFTER
    known = learn_all(full(), {"new": [body(1 * MiB, later)]}, later)
    assert len(known) == MOST_HOSTS
    assert "h0" not in known
    assert "new" in known


def test_hosts_of_which_nothing_is_known_any_more_are_dropped_with_the_next_news() -> None:
    later = NOW + KEEP_PASSES + MOST_HOSTS
    assert set(learn_all(full(), {"new": [body(LEAST, later)]}, later)) == {"new"}


def test_without_leaves_the_others() -> None:
    assert set(without(full(), ["h1", "unknown"])) == set(full()) - {"h1"}


def test_no_news_gives_the_same_object() -> None:
    known = full()
    assert learn_all(known, {"h1": [body(1)]}, NOW) is known


# Texts from outside.


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.ORG", "example.org"),
        ("example.org:8443", "example.org:8443"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]:8000", "[::1]:8000"),
        ("my_host", "my_host"),
        ("", None),
        ("a b", None),
        ("evil\nhost-limit", None),
        ("a" * 254, None),
        ("example.org:123456", None),
        ("[::1", None),
        ("münchen.example", None),
        ('"><script>', None),
    ],
)
def test_hosts_are_in_lower_case_and_nothing_else_is_one(text: str, host: str | None) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["nginx", "nginx/1.22.1", "cloudflare", "aws-alb_2"])
def test_a_short_plain_word_names_who_refused(text: str) -> None:
    assert parse_refused_by(text) == text


@pytest.mark.parametrize("text", ["", "Nginx", "a b", "x" * 41, "<b>", "a\n"])
def test_any_other_text_names_nobody(text: str) -> None:
    assert parse_refused_by(text) is None


def test_a_reporter_is_always_the_same_and_short_and_never_the_owner_himself() -> None:
    owners = ["alice", "bob", "a" * 10_000, "\ud800", ""]
    reporters = [reporter_of(owner) for owner in owners]
    assert len(set(reporters)) == len(owners)
    assert reporters == [reporter_of(owner) for owner in owners]
    assert {len(each) for each in reporters} == {16}
    assert "alice" not in reporters[0]


def test_a_path_holds_no_more_however_long_the_reports_go_on() -> None:
    numbers = count()
    known = Path(HOST, NOW)
    for _ in range(10 * MOST_REPORTS):
        known = known.learn(report(next(numbers), 64 * KiB, by="x" * 40))
    assert len(known.reports) <= MOST_REPORTS
