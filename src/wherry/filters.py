"""How filters on the way refuse a body: what the Python client and the doctor both go by."""

from __future__ import annotations

#: The statuses of their pages, most often without a word about the size. 404 is IIS's: only to
#: its own machine does it show that it means 404.13, a body above its limit.
FILTERED = frozenset((400, 403, 404, 406, 415, 501))
