"""Tickets by which guests, who have no login, upload into an owner's space: made, listed, revoked.

A guest uses the routes of the other protocols, with the ticket in `Authorization: Bearer`. It is
never part of an address: those end in the logs of proxies.
"""

from wherry.protocols.guests.presenting import has_ticket, presented_by
from wherry.protocols.guests.routes import ROUTES

__all__ = ["ROUTES", "has_ticket", "presented_by"]
