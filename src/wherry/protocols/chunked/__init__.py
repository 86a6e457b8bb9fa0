"""The chunked API: many small requests bring one file (docs/reference/chunked-api.md).

    routes   the table of its operations, which the router includes
    verbs    one coroutine for each: parse, let the engine do it, render
    models   what requests and answers look like, and how they become the engine's values

Another protocol of resumable uploads is a package of this shape beside this one. It shares the
bodies of requests (`protocols.bodies`), the refusals (`protocols.problem`) and what lies
directly in `protocols`; it imports nothing from its siblings.
"""

from wherry.protocols.chunked.routes import ROUTES

__all__ = ["ROUTES"]
