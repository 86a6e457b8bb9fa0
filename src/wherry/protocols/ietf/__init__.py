"""Resumable uploads of the IETF: https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/

Rule 1: the upload is one of the engine's, like any other, so it can go on in every other protocol.

Rule 2: an upload is complete when a client says so (`Upload-Complete: ?1`), and not before, even if
all bytes are there.

Rule 3: what fails after a 104 is answered only if the same bytes would fail again. Otherwise the
connection is dropped: some clients (Apple's URLSession) take every answer for the last one, and ask
for the offset only if there is none.
"""

from wherry.protocols.ietf.routes import AT_TUS, ROUTES

__all__ = ["AT_TUS", "ROUTES"]
