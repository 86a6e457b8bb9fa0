"""A ticket lets its guest do what it says, and says nothing of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.errors import (
    NotForGuests,
    TicketExpired,
    TicketRevoked,
    TicketUsedUp,
    TooLarge,
    Unauthorized,
    UploadError,
    UploadNotFound,
)
from wherry.core.requests import Caller
from wherry.core.tickets import Presented, Ticket, TicketState
from wherry.core.upload import GONE, State, Upload

PRESENTED = Presented("a" * 32, "b" * 32)
TICKET = Ticket(PRESENTED.id, "alice", PRESENTED.sha256, 10.0, 20.0, uploads=2, max_size=100)


def test_what_a_guest_has_is_not_what_is_recorded() -> None:
    text = str(PRESENTED)
    assert Presented.parse(text) == PRESENTED
    assert PRESENTED.secret in text
    assert PRESENTED.secret not in repr(PRESENTED)
    assert PRESENTED.secret not in repr(TICKET)


@given(st.text() | st.just(str(PRESENTED)).flatmap(lambda t: st.sampled_from([t[1:], t + "0"])))
def test_a_text_that_is_no_ticket_is_none(text: str) -> None:
    found = Presented.parse(text)
    assert found is None or str(found) == text


def test_only_the_right_secret_lets_in() -> None:
    TICKET.check(PRESENTED, 11.0)
    for secret in ("b" * 31 + "c", "c" + "b" * 31, TICKET.sha256[:32]):
        with pytest.raises(Unauthorized):
            TICKET.check(Presented(PRESENTED.id, secret), 11.0)
    with pytest.raises(TicketRevoked):
        TICKET.revoke(11.0).check(PRESENTED, 11.0)
    with pytest.raises(Unauthorized):  # nobody else learns that it was revoked
        TICKET.revoke(11.0).check(Presented(PRESENTED.id, "c" * 32), 11.0)


def test_a_ticket_is_used_as_often_as_it_allows() -> None:
    once = TICKET.use(11.0)
    twice = once.use(12.0)
    assert [TICKET.used, once.used, twice.used] == [0, 1, 2]
    with pytest.raises(TicketUsedUp):
        twice.use(13.0)
    assert twice.state(13.0) is TicketState.USED_UP
    assert twice.give_back().use(14.0) == twice
    assert TICKET.give_back() == TICKET


@pytest.mark.parametrize(
    ("ticket", "now", "state", "error"),
    [
        (TICKET, 19.9, TicketState.VALID, None),
        (TICKET, 20.0, TicketState.EXPIRED, TicketExpired),
        (replace(TICKET, used=2), 20.0, TicketState.EXPIRED, TicketExpired),
        (TICKET.revoke(11.0), 12.0, TicketState.REVOKED, TicketRevoked),
        (TICKET.revoke(11.0), 21.0, TicketState.REVOKED, TicketRevoked),
    ],
)
def test_a_ticket_ends(
    ticket: Ticket, now: float, state: TicketState, error: type[UploadError] | None
) -> None:
    assert ticket.state(now) is state
    if error is None:
        ticket.use(now)
    else:
        with pytest.raises(error):
            ticket.use(now)


def test_a_ticket_that_shows_a_report_begins_nothing_and_ends_with_its_time() -> None:
    shows = replace(TICKET, uploads=0, shows="u")
    assert [shows.state(now) for now in (11.0, 20.0)] == [TicketState.VALID, TicketState.EXPIRED]
    shows.check(PRESENTED, 19.9)
    TICKET.check(PRESENTED, 20.0)  # its uploads may be finished
    with pytest.raises(TicketExpired):
        shows.check(PRESENTED, 20.0)
    with pytest.raises(TicketRevoked):
        shows.revoke(11.0).check(PRESENTED, 20.0)
    with pytest.raises(NotForGuests):
        shows.use(11.0)
    reader = Caller("alice", ticket=shows)
    assert reader.is_reader
    assert not Caller("alice", ticket=TICKET).is_reader
    shown, other = Upload("u", "alice", "f", 1), Upload("v", "alice", "f", 1)
    assert [upload.is_of(reader) for upload in (shown, other)] == [True, False]
    assert not replace(shown, owner="bob").is_of(reader)


def test_revoking_again_changes_nothing() -> None:
    assert TICKET.revoke(11.0).revoke(12.0).revoked_at == 11.0


def test_a_ticket_and_the_server_limit_a_file() -> None:
    TICKET.check_size(100)
    with pytest.raises(TooLarge) as refused:
        TICKET.check_size(101)
    assert refused.value.limit == 100
    replace(TICKET, max_size=None).check_size(1 << 61)
    guest, unlimited = Caller("alice", ticket=TICKET), Caller("alice")
    assert [guest.max_size(most) for most in (None, 99, 101)] == [100, 99, 100]
    assert [unlimited.max_size(most) for most in (None, 99)] == [None, 99]


def test_a_guest_sees_the_uploads_of_one_ticket_and_the_owner_sees_all() -> None:
    guest = Caller("alice", ticket=TICKET)
    other = Caller("alice", ticket=replace(TICKET, id="c" * 32))
    mine = Upload("u", "alice", "f", 1, ticket_id=TICKET.id)
    of_owner = Upload("v", "alice", "f", 1)
    stolen = replace(mine, owner="bob")
    seen = {
        (upload.id, upload.owner, who)
        for who, caller in (("guest", guest), ("other", other), ("owner", Caller("alice")))
        for upload in (mine, of_owner, stolen)
        if upload.is_of(caller)
    }
    assert seen == {("u", "alice", "guest"), ("u", "alice", "owner"), ("v", "alice", "owner")}
    with pytest.raises(UploadNotFound):
        of_owner.check_owner(guest)


@pytest.mark.parametrize("state", State)
def test_an_upload_counts_unless_it_has_ended_without_a_file(state: State) -> None:
    upload = Upload("u", "alice", "f", 1, state=state, ticket_id=TICKET.id)
    assert upload.uses_ticket() == (state not in GONE)
    assert not replace(upload, ticket_id=None).uses_ticket()
