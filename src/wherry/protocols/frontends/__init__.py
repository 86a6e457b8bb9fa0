"""The wire forms of other upload front ends, so that a page which has one works with Wherry.

    routes      the table of their operations, which the router includes (`front_ends`)
    verbs       one coroutine for each of Resumable.js, Flow.js and Dropzone
    filepond    the same for FilePond
    models      how a chunk is described, and what it is answered
    receiving   what all share: which upload a chunk belongs to, write, complete when it is whole
    refusals    the statuses that these front ends understand

The how-to is docs/howto/migrate-from-other-front-ends.md.
"""

from wherry.protocols.frontends.routes import ROUTES

__all__ = ["ROUTES"]
