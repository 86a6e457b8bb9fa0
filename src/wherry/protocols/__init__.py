"""The protocols: each parses a request, lets the engine do it, and renders the result.

A protocol is a package: `models` (what requests and answers look like), `verbs` (a coroutine for
each operation) and `routes` (the table that the router includes). Here are `chunked`, `tus`,
`form`, `files` and `frontends`; another protocol of resumable uploads (the IETF's) is one more
package beside them.

What they share lies directly in here: `bodies` (where the bytes of a request come from),
`parsing`, `digests` and `answers`; `problem`, `errors` and `hints` for refusals; `operation` and
`openapi` for the tables; `route`, `bodylimit` and `draining` for what every route does.
"""
