"""The changes of tickets, as operations; `operations` has what holds for all of them.

Rule 1: they need no lock but that of the ticket's row. What uploads use of a ticket is part of the
operations of uploads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.core.tickets import Ticket


@dataclass(frozen=True, slots=True)
class AddTicket:
    ticket: Ticket

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> None:
        work.check_takes_more()
        work.add_ticket(self.ticket)


@dataclass(frozen=True, slots=True)
class UpdateTicket:
    ticket_id: str
    change: Callable[[Ticket], Ticket]

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        """False: the lock of its row is enough."""
        return False

    def apply(self, work: UnitOfWork) -> Ticket:
        before = work.ticket(self.ticket_id)
        after = self.change(before)
        work.update_ticket(before, after)
        return after


@dataclass(frozen=True, slots=True)
class ForgetTickets:
    ids: Collection[str]
    before: float

    @property
    def concerns(self) -> tuple[str, ...]:
        return ()

    @property
    def admits(self) -> bool:
        return False

    def apply(self, work: UnitOfWork) -> None:
        work.forget_tickets(self.ids, self.before)
