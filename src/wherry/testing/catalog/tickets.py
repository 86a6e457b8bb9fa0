"""The contract of a catalog about the tickets of guests: used up together with their uploads."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from functools import partial

from anyio import to_thread

from wherry.catalog import Catalog
from wherry.core.errors import (
    NoRoom,
    NotThere,
    TicketExpired,
    TicketRevoked,
    TicketUsedUp,
    UploadNotFound,
)
from wherry.core.limits import LARGEST_SIZE
from wherry.core.pages import PageRequest
from wherry.core.states import State
from wherry.core.tickets import Ticket
from wherry.core.upload import Upload
from wherry.testing.catalog.fixtures import (
    check_no_defaults,
    create_whole_upload,
    new_ticket,
    new_upload,
    raises,
    together,
)


def guests_upload(name: str, ticket: str = "t", at: float = 2.0) -> Upload:
    return replace(new_upload(name), created_at=at, ticket_id=ticket)


async def used(catalog: Catalog, ticket: str = "t") -> int:
    return (await catalog.ticket(ticket)).used


def arrives(catalog: Catalog, upload: Upload) -> Awaitable[Upload]:
    """The file of `upload` arrives at once."""
    arrived = replace(upload, state=State.WAITING).arrive(100, 7, upload.created_at, None)
    return to_thread.run_sync(lambda: catalog.submit_create(arrived).result())


async def a_recorded_ticket_is_loaded_unchanged(catalog: Catalog) -> None:
    full = Ticket(
        "full", "Ö", "a" * 64, 1.5, 2.25, 3, LARGEST_SIZE, "for ☃", 2, 1.75, "an upload", True
    )
    check_no_defaults(full)
    bare = new_ticket("bare")
    for ticket in (full, bare):
        await catalog.add_ticket(ticket)
        assert await catalog.ticket(ticket.id) == ticket
    other = replace(full, id="bare")
    assert await catalog.update_ticket("bare", lambda _: other) == other
    assert await catalog.ticket("bare") == other
    await raises(NotThere, partial(catalog.ticket, "unknown"))
    await raises(NotThere, partial(catalog.update_ticket, "unknown", lambda t: t))


async def an_upload_uses_its_ticket_when_it_begins(catalog: Catalog) -> None:
    await catalog.add_ticket(new_ticket("t", uploads=2))
    first = await catalog.create(replace(guests_upload("u"), fingerprint="f"))
    assert (await catalog.load("u")).ticket_id == "t"
    assert await used(catalog) == 1
    again = replace(guests_upload("again"), fingerprint="f")
    assert await catalog.create(again) == first
    assert await used(catalog) == 1
    await catalog.create(new_upload("of the owner"))
    await catalog.create(guests_upload("v"))
    assert await used(catalog) == 2
    await raises(TicketUsedUp, partial(catalog.create, guests_upload("w")))
    await raises(UploadNotFound, partial(catalog.load, "w"))
    assert await catalog.create(again) == first


async def a_file_that_arrives_at_once_uses_its_ticket(catalog: Catalog) -> None:
    await catalog.add_ticket(new_ticket("t"))

    def refuse(_: object) -> None:
        raise NoRoom

    refused = catalog.submit_create(guests_upload("refused"), None, refuse)
    await raises(NoRoom, partial(to_thread.run_sync, refused.result))
    assert await used(catalog) == 0
    await arrives(catalog, guests_upload("u"))
    assert await used(catalog) == 1
    await arrives(catalog, guests_upload("u"))  # the same upload
    await raises(TicketUsedUp, lambda: arrives(catalog, guests_upload("v")))
    await raises(UploadNotFound, partial(catalog.load, "v"))


async def the_last_use_of_a_ticket_is_taken_once(catalog: Catalog) -> None:
    await catalog.add_ticket(new_ticket("t", uploads=3))
    outcomes: list[str] = []

    async def begin(number: int) -> None:
        upload = guests_upload(f"{number:02d}")
        try:
            if number % 2:
                await catalog.create(upload)
            else:
                await arrives(catalog, upload)
            outcomes.append("begun")
        except TicketUsedUp:
            outcomes.append("refused")

    await together(*[partial(begin, number) for number in range(20)])
    assert sorted(outcomes) == ["begun"] * 3 + ["refused"] * 17
    assert len(await catalog.uploads()) == await used(catalog) == 3


async def an_upload_that_ends_without_a_file_gives_its_use_back(catalog: Catalog) -> None:
    await catalog.add_ticket(new_ticket("t", uploads=4))
    for name in ("cancelled", "failed", "expired"):
        await catalog.create(guests_upload(name))
    await create_whole_upload(catalog, "of the owner")
    await arrives(catalog, guests_upload("complete"))
    assert await used(catalog) == 4
    await catalog.update("cancelled", lambda u: u.cancel(3.0))
    assert await used(catalog) == 3
    await catalog.update("cancelled", lambda u: u.cancel(4.0))
    await catalog.update("failed", lambda u: u.fail("type-refused", 3.0))
    await catalog.advance(3.0, lambda _: ["expired"], lambda u: u.expire(1e6, 1.0))
    assert await used(catalog) == 1
    await catalog.update("complete", lambda u: u.discard(5.0))
    await catalog.forget(["cancelled", "complete"])
    await catalog.update("of the owner", lambda u: u.cancel(6.0))
    assert await used(catalog) == 1
    await catalog.create(guests_upload("another"))
    assert await used(catalog) == 2


async def a_ticket_that_is_of_no_use_begins_nothing(catalog: Catalog) -> None:
    for name in ("t", "revoked"):
        await catalog.add_ticket(new_ticket(name))
    await catalog.update_ticket("revoked", lambda t: t.revoke(2.0))
    late, revoked = guests_upload("u", at=100.0), guests_upload("v", "revoked")
    unknown = guests_upload("w", "forgotten")
    refused = ((late, TicketExpired), (revoked, TicketRevoked), (unknown, TicketExpired))
    for upload, error in refused:
        await raises(error, partial(catalog.create, upload))
        await raises(error, partial(arrives, catalog, upload))
        await raises(UploadNotFound, partial(catalog.load, upload.id))
    assert await used(catalog) == await used(catalog, "revoked") == 0
    await catalog.create(guests_upload("x", at=99.0))


async def a_change_of_a_ticket_keeps_what_is_used_of_it(catalog: Catalog) -> None:
    await catalog.add_ticket(new_ticket("t", uploads=10))

    async def revoke() -> None:
        await catalog.update_ticket("t", lambda t: t.revoke(2.0))

    async def begin(number: int) -> None:
        try:
            await catalog.create(guests_upload(str(number)))
        except TicketRevoked:
            return

    async def fail() -> None:
        def refuse(_: Ticket) -> Ticket:
            raise NotThere

        await raises(NotThere, partial(catalog.update_ticket, "t", refuse))

    await together(*[partial(begin, n) for n in range(3)], fail, revoke, partial(begin, 3))
    ticket = await catalog.ticket("t")
    assert ticket.used == len(await catalog.uploads())
    assert ticket.revoked_at == 2.0


async def the_same_file_is_another_upload_for_another_ticket(catalog: Catalog) -> None:
    for name in ("t", "other"):
        await catalog.add_ticket(new_ticket(name, uploads=9))
    alike = [
        replace(new_upload("of the owner"), fingerprint="f"),
        replace(guests_upload("a"), fingerprint="f"),
        replace(guests_upload("b", "other"), fingerprint="f"),
    ]
    for upload in alike:
        assert await catalog.create(upload) == upload
    for upload in alike:
        assert await catalog.create(replace(upload, id=f"{upload.id} again")) == upload


async def tickets_are_listed_by_their_age(catalog: Catalog) -> None:
    made = [
        replace(new_ticket(f"{n}", owner="o" if n % 2 else "p"), created_at=10.0 - n)
        for n in range(5)
    ]
    for ticket in made:
        await catalog.add_ticket(ticket)
    assert await catalog.tickets() == made[::-1]
    assert await catalog.tickets("o") == [made[3], made[1]]
    assert await catalog.tickets("nobody") == []
    page = await catalog.tickets("p", PageRequest(limit=2, newest=True))
    assert page == [made[0], made[2]]
    assert await catalog.tickets("p", PageRequest(page.next, 2, newest=True)) == [made[4]]


async def tickets_are_forgotten_when_they_have_expired(catalog: Catalog) -> None:
    for number in range(3):
        ticket = new_ticket(f"{number}")
        await catalog.add_ticket(replace(ticket, expires_at=100.0 + number))
    await catalog.create(guests_upload("u", "0"))
    await catalog.forget_tickets(99.0)
    assert len(await catalog.tickets()) == 3
    await catalog.forget_tickets(101.0)
    assert [ticket.id for ticket in await catalog.tickets()] == ["2"]
    ended = await catalog.update("u", lambda u: u.cancel(3.0))
    assert ended.ticket_id == "0"
