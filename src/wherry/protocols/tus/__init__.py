"""tus 1.0: https://tus.io/protocols/resumable-upload

Rule 1: the upload is one of the engine's, like any other. What has no place in it (the metadata and
`Upload-Concat` as the client wrote them) is kept in its metadata.

Rule 2: a client asks for nothing when all bytes are there. So whatever finds an upload whole,
completes it: the last PATCH, an empty one, and HEAD, which a client sends that has had no answer to
its last PATCH.

Rule 3: a partial upload is a piece of the engine's, and a final one is joined from pieces.
"""

from wherry.protocols.tus.routes import ROUTES

__all__ = ["ROUTES"]
