"""Tickets by which guests, who have no login, upload into an owner's space, or read a report: made,
listed, revoked.

A guest uses the routes of the other protocols, with the ticket in `Authorization: Bearer`. It is
never part of an address: those end in the logs of proxies.
"""

from wherry.protocols.guests.presenting import has_ticket, presented_by
from wherry.protocols.guests.routes import operations

__all__ = ["has_ticket", "operations", "presented_by"]
