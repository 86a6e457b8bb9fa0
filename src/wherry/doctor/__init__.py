"""`wherry doctor`: measures what lies between a client and Wherry, and says what to change.

`examine` (in `examination`) makes the requests, and returns what was measured (`Measured`).
`diagnosis`, `recognition` and `remedies` are pure: from measurements to findings, from answers to
the proxy that gave them, from a proxy to the lines to change in its configuration.

Rule 1: bytes, time and requests at once are bounded (`spending`), and what was spent is reported.

Rule 2: what was not measured is None, and never a guess.
"""
