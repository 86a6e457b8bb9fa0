"""Webhooks: what was recorded in the outbox is sent to the endpoints of the operator.

    sender    the loops that send, one for each endpoint
    request   one attempt: the signed request, and what its answer means
    guard     which addresses a request may go to

`core.webhooks` has the events and the life of a delivery; the catalog records both.
"""

from wherry.webhooks.sender import Sender

__all__ = ["Sender"]
