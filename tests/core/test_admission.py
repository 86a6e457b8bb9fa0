"""Uploads are admitted in the order of arrival, fair between owners, and within every limit."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.admission import (
    LONGEST_PERIOD,
    POLL_AFTER_AT_MOST,
    SHORTEST_PERIOD,
    Entry,
    OpenUpload,
    Queue,
    Space,
    Taken,
    check_fits_ever,
    holding_since,
    poll_after,
)
from wherry.core.errors import NeverFits, TooLarge, UploadError
from wherry.core.limits import Limits

OPEN = Limits(
    max_size=None,
    max_open=None,
    max_open_per_owner=None,
    max_reserved=None,
    max_reserved_per_owner=None,
    min_free=0,
)
#: Far more than anything here asks for.
VAST = Space(total=1 << 60, free=1 << 60)

#: A time at which no upload holds up others.
ALL_GO_FIRST = 128 * 60.0 - 30.0

numbers = st.integers(0, 20)
moments = st.sampled_from([30.0, 90.0, 1000.0, 5000.0, ALL_GO_FIRST])
bounds = st.none() | numbers
limits = st.builds(
    Limits,
    max_size=bounds,
    max_open=st.none() | st.integers(1, 5),
    max_open_per_owner=st.none() | st.integers(1, 5),
    max_reserved=bounds,
    max_reserved_per_owner=bounds,
    min_free=numbers,
)
owners = st.sampled_from("abc")
taken = st.dictionaries(owners, st.builds(Taken, st.integers(0, 3), numbers))


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    entries = [
        Entry(str(number), draw(owners), float(draw(numbers)), 0 if back else draw(numbers), back)
        for number, back in enumerate(draw(st.lists(st.booleans(), max_size=8)))
    ]
    open_uploads = draw(
        st.lists(st.builds(OpenUpload, owners, numbers, numbers.map(float)), max_size=4)
    )
    return Queue(tuple(entries), draw(taken), (), tuple(open_uploads))


def another_has(bytes_: int) -> tuple[dict[str, Taken], tuple[str, ...], tuple[OpenUpload, ...]]:
    """Somebody has so much open."""
    return {"o": Taken(1, bytes_)}, (), (OpenUpload("o", bytes_, 0.0),)


def entry(name: str, since: float, bytes_: int = 1, owner: str | None = None) -> Entry:
    return Entry(name, owner or name, since, bytes_)


def names(entries: tuple[Entry, ...]) -> str:
    return "".join(entry.upload_id for entry in entries)


# The order.


def test_strangers_come_first_come_first_served() -> None:
    queue = Queue((entry("b", 2.0), entry("a", 1.0), entry("c", 3.0)))
    assert names(queue.in_order()) == "abc"
    assert queue.positions() == {"a": 1, "b": 2, "c": 3}


def test_the_second_upload_of_one_owner_comes_after_the_first_of_all_others() -> None:
    queue = Queue(
        (*(entry(n, float(n), owner="o") for n in "123"), entry("a", 8.0), entry("b", 9.0)),
    )
    assert names(queue.in_order()) == "1ab23"


def test_open_uploads_of_an_owner_count_in_the_order() -> None:
    queue = Queue((entry("m", 1.0), entry("n", 2.0)), {"m": Taken(open=1)})
    assert names(queue.in_order()) == "nm"


def test_an_upload_that_comes_back_goes_before_its_owners_that_have_not_begun() -> None:
    back = Entry("back", "o", 9.0, 0, is_returning=True)
    queue = Queue((entry("a", 1.0), entry("mine", 2.0, owner="o"), back))
    assert [p.upload_id for p in queue.in_order()] == ["back", "a", "mine"]


def test_coming_back_is_fair_between_owners_too() -> None:
    comes = tuple(Entry(f"a{n}", "alice", n, 0, is_returning=True) for n in range(50))
    queue = Queue((*comes, Entry("b", "bob", 60.0, 10)), {"alice": Taken(9, 900)})
    assert queue.positions()["b"] == 1


@given(queues())
def test_every_upload_has_one_position_and_uploads_of_one_owner_keep_their_order(
    queue: Queue,
) -> None:
    order = queue.in_order()
    assert sorted(order, key=lambda p: p.upload_id) == list(queue.entries)
    assert sorted(queue.positions().values()) == list(range(1, len(order) + 1))
    for earlier, later in pairwise(order):
        if earlier.owner == later.owner and earlier.is_returning == later.is_returning:
            assert earlier.since <= later.since


# Turns.


@given(queues(), limits, st.none() | numbers)
def test_admitted_uploads_keep_every_limit(queue: Queue, limits: Limits, free: int | None) -> None:
    def is_within(used: int, bound: int | None) -> bool:
        return bound is None or used <= bound

    admitted = queue.admissible(limits, free)
    new = sum(entry.bytes for entry in admitted)
    if admitted:
        assert is_within(queue.open + len(admitted), limits.max_open)
    if new:
        assert is_within(queue.reserved + new, limits.max_reserved)
        assert is_within(new, free)
    for owner in {entry.owner for entry in admitted}:
        mine = [entry for entry in admitted if entry.owner == owner]
        assert is_within(queue.taken_by(owner).open + len(mine), limits.max_open_per_owner)
        if sum(entry.bytes for entry in mine):
            reserved = queue.taken_by(owner).reserved + sum(entry.bytes for entry in mine)
            assert is_within(reserved, limits.max_reserved_per_owner)


def in_order_of_coming(queue: Queue, free: int) -> list[Entry]:
    """What is admitted if no upload holds up others: each in order, if there is room for it."""
    found = []
    for entry in queue.in_order():
        if not entry.bytes or entry.bytes <= free:
            found.append(entry)
            free -= entry.bytes
    return found


@given(queues(), st.integers(-5, 30))
def test_in_the_periods_of_the_others_every_upload_that_fits_is_admitted_in_order(
    queue: Queue, free: int
) -> None:
    assert list(queue.admissible(OPEN, free, ALL_GO_FIRST)) == in_order_of_coming(queue, free)


@given(queues(), st.integers(-5, 30), moments)
def test_what_is_abandoned_is_not_awaited(queue: Queue, free: int, now: float) -> None:
    strangers = tuple(replace(p, owner=p.upload_id) for p in queue.entries)
    abandoned = replace(queue, entries=strangers, open_uploads=())
    fitting = replace(abandoned, entries=tuple(p for p in strangers if p.bytes <= max(free, 0)))
    assert abandoned.admissible(OPEN, free, now) == fitting.admissible(OPEN, free, now)


@given(queues(), st.integers(-5, 30), moments)
def test_no_upload_holds_up_others_for_space_of_its_own_owner(
    queue: Queue, free: int, now: float
) -> None:
    alone = replace(queue, entries=tuple(replace(p, owner="a") for p in queue.entries))
    alone = replace(alone, open_uploads=tuple(replace(o, owner="a") for o in queue.open_uploads))
    assert list(alone.admissible(OPEN, free, now)) == in_order_of_coming(alone, free)


@given(queues(), st.integers(-5, 30), moments)
def test_an_upload_that_holds_up_others_fits_when_they_have_ended(
    queue: Queue, free: int, now: float
) -> None:
    admitted, left = queue.admissible(OPEN, free, now), free
    for number, entry in enumerate(queue.in_order()):
        if entry in admitted:
            left -= entry.bytes
            continue
        begun = holding_since(entry.since, now)
        others = [o for o in queue.open_uploads if o.owner != entry.owner]
        before = [p for p in queue.in_order()[:number] if p in admitted]
        earlier = sum(p.bytes for p in before if p.owner != entry.owner)
        if entry.bytes > left + sum(o.bytes for o in others) + earlier:
            continue
        if begun is not None:
            passed = sum(p.bytes for p in admitted if p not in before)
            late = sum(o.bytes for o in others if o.since > begun) + earlier
            awaited = sum(o.bytes for o in others) + earlier - late
            assert not passed or passed + entry.bytes <= left + awaited
        break  # the first decides


def test_the_periods_grow_with_the_waiting_and_are_shared_fairly() -> None:
    for since in (0.0, 12345.0):
        for age in range(0, 6 * 3600, 20):
            now = since + age
            begun = holding_since(since, now)
            if begun is not None:
                assert 0 <= now - begun <= max(age / 2, SHORTEST_PERIOD)
                assert now - begun < LONGEST_PERIOD
    for k in range(7):  # a period of its own for an upload that waits for so long
        length = SHORTEST_PERIOD * 2**k
        held = [holding_since(0.0, 1_024_000 * 60.0 + t) for t in range(0, 7680, 15)]
        assert held.count(None) == len(held) / 2
        young = [holding_since(128 * 60.0 - 2 * length, 128 * 60.0 + t) for t in range(0, 30, 5)]
        assert young == [128 * 60.0] * 6


@given(numbers)
def test_there_is_a_minute_in_which_no_upload_holds_up_others(since: int) -> None:
    for cycle in range(1, 20):
        end = cycle * 2 * LONGEST_PERIOD
        for back in (59.0, 30.0, 1.0):
            assert holding_since(float(since), end - back) is None


@given(queues(), limits)
def test_an_empty_house_lets_the_next_one_in_unless_it_can_never_fit(
    queue: Queue, limits: Limits
) -> None:
    empty = Queue(tuple(p for p in queue.entries if not p.is_returning))
    if empty.entries and not empty.admissible(limits, 20):
        assert any(
            bound is not None and empty.in_order()[0].bytes > bound
            for bound in (limits.max_reserved, limits.max_reserved_per_owner, 20)
        )


def test_an_upload_at_a_limit_of_its_owner_holds_up_no_others() -> None:
    queue = Queue((entry("1", 1.0, owner="o"), entry("a", 2.0)), {"o": Taken(open=1)})
    assert names(queue.admissible(replace(OPEN, max_open_per_owner=1))) == "a"
    queue = Queue((entry("1", 1.0, 5, "o"), entry("a", 2.0, 5)), {"o": Taken(reserved=6)})
    assert names(queue.admissible(replace(OPEN, max_reserved_per_owner=10))) == "a"


def test_a_large_one_that_is_next_is_not_starved_by_small_ones() -> None:
    queue = Queue((entry("large", 1.0, 8), entry("small", 2.0, 3)), *another_has(5))
    assert queue.admissible(OPEN, 5, now=10.0) == ()
    assert [p.upload_id for p in queue.admissible(OPEN, 11, now=10.0)] == ["large", "small"]


def test_what_fits_beside_a_large_one_that_waits_is_not_held_up() -> None:
    queue = Queue((entry("large", 1.0, 8), entry("a", 2.0, 1), entry("b", 3.0, 1)), *another_has(5))
    assert names(queue.admissible(OPEN, 5, now=10.0)) == "ab"
    # Those two stay: an upload that comes now would take what the large one waits for.
    late = (*queue.open_uploads, OpenUpload("a", 1, 10.0), OpenUpload("b", 1, 10.0))
    after = Queue((entry("large", 1.0, 8), entry("c", 4.0, 1)), queue.taken, (), late)
    assert after.admissible(OPEN, 3, now=20.0) == ()
    assert names(after.admissible(OPEN, 3, now=70.0)) == "c"  # its minute is over


def test_a_large_upload_behind_an_abandoned_one_of_its_owner_holds_up_no_others() -> None:
    queue = Queue((entry("large", 1.0, 80, "o"), entry("a", 2.0, 30)), {"o": Taken(0, 61)})
    for now in (2.0, 10.0, 3600.0, 86400.0):
        assert names(queue.admissible(OPEN, 39, now)) == "a"


def test_an_upload_that_fits_only_without_finished_files_holds_up_no_others() -> None:
    queue = Queue((entry("huge", 1.0, 8), entry("small", 2.0, 1)), *another_has(2))
    assert names(queue.admissible(OPEN, 5)) == "small"


def test_a_returning_upload_needs_no_space_even_on_a_full_disk() -> None:
    back = Entry("back", "o", 1.0, 0, is_returning=True)
    queue = Queue((entry("a", 0.0, 1), back), {"o": Taken(0, 5)})
    assert [p.upload_id for p in queue.admissible(OPEN, -4)] == ["back"]


def test_clients_ask_again_at_least_twice_within_a_turn() -> None:
    for turn in (2.0, 10.0, Limits().turn, 600.0):
        pauses = [poll_after(position, turn) for position in (None, *range(1, 2000))]
        assert pauses == sorted(pauses)
        assert pauses[0] >= 1
        assert pauses[-1] == min(POLL_AFTER_AT_MOST, turn / 2)


# What can never fit.


@given(numbers, limits, numbers)
def test_an_upload_that_can_fit_is_admitted_on_an_empty_server(
    length: int, limits: Limits, total: int
) -> None:
    alone = Queue((entry("a", 1.0, length),)).admissible(limits, total - limits.min_free)
    error = refusal(length, limits, Space(total=total, free=total))
    if isinstance(error, NeverFits):
        assert 0 <= error.limit < length or length == 0
        assert not alone or length == 0
    elif error is None:
        assert alone


def refusal(length: int, limits: Limits, space: Space) -> UploadError | None:
    try:
        check_fits_ever(length, limits, space)
    except UploadError as error:
        return error
    return None


def test_a_file_above_the_largest_size_is_too_large_before_anything_else() -> None:
    with pytest.raises(TooLarge):
        check_fits_ever(6, replace(OPEN, max_size=5, max_reserved=1), VAST)


@pytest.mark.parametrize(
    ("limits", "space"),
    [
        (replace(OPEN, max_reserved=5), VAST),
        (replace(OPEN, max_reserved_per_owner=5), VAST),
        (replace(OPEN, min_free=3), Space(total=8, free=8)),
    ],
)
def test_a_file_above_all_the_space_there_is_never_fits(limits: Limits, space: Space) -> None:
    check_fits_ever(5, limits, space)
    with pytest.raises(NeverFits) as caught:
        check_fits_ever(6, limits, space)
    assert caught.value == NeverFits(limit=5, provided=6)


def test_a_volume_below_what_is_kept_free_can_hold_nothing() -> None:
    with pytest.raises(NeverFits) as caught:
        check_fits_ever(1, replace(OPEN, min_free=9), Space(total=5, free=5))
    assert caught.value.limit == 0


@given(queues(), limits, numbers, moments)
def test_a_newcomer_is_admitted_as_if_it_waited_already(
    queue: Queue, limits: Limits, free: int, now: float
) -> None:
    newcomer = Entry("new", "a", now, 5)
    joined = replace(queue, entries=(*queue.entries, newcomer))
    is_chosen = newcomer in joined.admissible(limits, free, now)
    assert queue.admits(newcomer, limits, free, now) == is_chosen


def test_a_newcomer_does_not_take_what_the_first_one_waits_for() -> None:
    waiting = Queue((entry("a", 1.0, 8),))
    assert waiting.admits(entry("b", 2.0, 2), OPEN, 10, ALL_GO_FIRST)
    assert not waiting.admits(entry("b", 2.0, 3), OPEN, 10, ALL_GO_FIRST)
