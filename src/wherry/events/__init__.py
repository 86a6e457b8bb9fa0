"""The events that Wherry logs: each with its level, its facts, its counters and its meaning.

Rule 1: `log_event` is the only way to log an event. It writes one line,
`event key=value ...`, and counts the event, also where the log's level leaves the line out.

Rule 2: the names of events and facts are public. The log, the metrics and the reference
of both derive from `Event`.
"""

from wherry.events.event import About, Area, Event, Feed
from wherry.events.facts import UPLOAD, Facts
from wherry.events.log import Counting, log_event, request_id

__all__ = [
    "UPLOAD",
    "About",
    "Area",
    "Counting",
    "Event",
    "Facts",
    "Feed",
    "log_event",
    "request_id",
]
