"""The bodies of requests: where their bytes come from, whatever protocol asks.

A module for each source: `asgi` (the bytes as the server passes them on), `form` (the file
inside of a form, read from another source). `choose` has `body_of`, which picks the source.
"""

from wherry.protocols.bodies.choose import body_of
from wherry.protocols.bodies.form import ANY_FIELD
from wherry.protocols.bodies.source import SHORT, Form, RequestBody

__all__ = ["ANY_FIELD", "SHORT", "Form", "RequestBody", "body_of"]
