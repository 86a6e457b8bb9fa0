"""The durable processing of a finished upload, and its report.

Rule 1: importing this package imports neither PyAV nor DBOS; the web process
has neither. PyAV lives in the child of a step (`media`, `steps`), DBOS in the
worker (`workflow`).

Rule 2: an uploaded file is hostile until proven otherwise: it is opened only in
a child of its own, which may be killed at any time (`sandbox`, `confine`).

    supervisor (in the server) ──starts──▶ worker ──drives──▶ workflow (DBOS)
                                             │                   │ one step at a time
                                             │                   ▼
                                      catalog: lease,        sandbox ──starts──▶ child: steps/*
                                      steps, report ◀── report ◀── its JSON and pictures
"""
