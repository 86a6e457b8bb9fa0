"""The events: what each means, and what it feeds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from logging import DEBUG, ERROR, INFO, WARNING

from wherry.events.facts import UPLOAD, WEBHOOK


class Area(Enum):
    """The sections of the log, by their titles."""

    UPLOADS = "Uploads"
    TROUBLE = "Trouble"
    WEBHOOKS = "Webhooks"
    WORKER = "The worker"
    SERVER = "The server"
    ASSESSMENTS = "Assessments"

    @property
    def is_counted(self) -> bool:
        """Not before a server has metrics, and not in the worker's own process."""
        return self not in (Area.SERVER, Area.ASSESSMENTS)

    @property
    def logger(self) -> logging.Logger:
        """Where its events go. Those of the worker's own process have a logger of their own."""
        is_own = self is Area.ASSESSMENTS
        return logging.getLogger("wherry.assessment" if is_own else "wherry")


@dataclass(frozen=True, slots=True)
class Feed:
    """A metric that an event feeds, by its name without `wherry_`.

    `fact`: the number that the metric gets; None: 1. `label`: the fact that labels it, or
    `event` for the event's own name.
    """

    metric: str
    fact: str | None = None
    label: str | None = None


#: Most events are counted, and nothing else.
COUNTED = Feed("events", label="event")
#: The bytes of an upload that ended without a file, or whose file was deleted.
FREED = Feed("freed_bytes", "bytes", "event")


@dataclass(frozen=True, slots=True, eq=False)
class About:
    """What is known of an event.

    `facts`: all keys that its line may have beside `request_id`, in the order of the reference.
    `repeats`: it may come back every second. `Context.log_event` logs and counts the same event
    with the same facts at most once a minute.
    `feeds`: the metrics that it feeds.
    `label`: its public name; None: the member's name in lower case, with hyphens.
    """

    area: Area
    level: int
    meaning: str
    facts: tuple[str, ...] = ()
    repeats: bool = False
    feeds: tuple[Feed, ...] = (COUNTED,)
    label: str | None = None


class Event(Enum):
    # Uploads.
    CREATED = About(
        Area.UPLOADS,
        INFO,
        "A new upload. `state` says whether it receives (its space is reserved) or waits. "
        "The level is debug for a small file that one request brings to a server without hooks: "
        "`complete` follows at once.",
        (*UPLOAD, "state", "received"),
    )
    RESUMED = About(
        Area.UPLOADS,
        INFO,
        "`init` found the unfinished upload of the same file.",
        (*UPLOAD, "state", "received"),
    )
    LET_IN = About(
        Area.UPLOADS,
        INFO,
        "The upload was admitted after `waited` seconds in the queue. Its space is reserved.",
        (*UPLOAD, "waited"),
        feeds=(COUNTED, Feed("waited_seconds", "waited")),
    )
    TURN_MISSED = About(
        Area.UPLOADS,
        INFO,
        "The upload was admitted and sent nothing. Its slot goes to the next one.",
        UPLOAD,
        feeds=(COUNTED, FREED),
    )
    CUT = About(
        Area.UPLOADS,
        INFO,
        "A body broke off or stalled. What arrived is kept.",
        (*UPLOAD, "at", "received", "announced"),
    )
    RECORDED = About(
        Area.UPLOADS,
        DEBUG,
        "Bytes are safe and recorded: a chunk, or 16 to 64 MiB of a longer body. "
        "`received` counts the new bytes.",
        (*UPLOAD, "at", "received", "seconds"),
        feeds=(COUNTED, Feed("part_bytes", "received"), Feed("part_seconds", "seconds")),
    )
    JOINED = About(
        Area.UPLOADS,
        INFO,
        "The bytes of this piece are in the upload that is joined from it, and it is deleted.",
        UPLOAD,
    )
    RECORDED_DIRECT = About(
        Area.UPLOADS,
        DEBUG,
        "Parts that the client has sent to the object store itself are there, and recorded. "
        "`received` counts the new bytes.",
        (*UPLOAD, "received"),
        feeds=(COUNTED, Feed("part_bytes", "received"), Feed("direct_bytes", "received")),
    )
    HOOK_RETURNED = About(
        Area.UPLOADS,
        DEBUG,
        "Your `before_complete` or `on_complete` returned.",
        (*UPLOAD, "hook", "seconds"),
        feeds=(COUNTED, Feed("hook_seconds", "seconds", "hook")),
    )
    COMPLETE = About(
        Area.UPLOADS,
        INFO,
        "The upload is complete: its file is handed over.",
        (*UPLOAD, "assessment_id", "digest", "seconds"),
        feeds=(COUNTED, Feed("complete_seconds", "seconds")),
    )
    TAKEN_UP = About(Area.UPLOADS, INFO, "A completion whose process died is resumed.", UPLOAD)
    CANCELLED = About(
        Area.UPLOADS, INFO, "The client cancelled the upload.", UPLOAD, feeds=(COUNTED, FREED)
    )
    EXPIRED = About(
        Area.UPLOADS,
        INFO,
        "The upload was deleted, because no byte came for too long.",
        UPLOAD,
        feeds=(COUNTED, FREED),
    )
    FAILED = About(
        Area.UPLOADS,
        INFO,
        "The upload was refused for its content and deleted, or it is larger than the volume "
        "takes (`never-fits`), or it cannot be joined because a piece of it has ended "
        "(`piece-gone`).",
        (*UPLOAD, "code"),
        feeds=(COUNTED, FREED),
    )
    VANISHED = About(
        Area.UPLOADS,
        INFO,
        "The upload's folder was removed by something else.",
        UPLOAD,
        feeds=(COUNTED, FREED),
    )
    DISCARDED = About(
        Area.UPLOADS, INFO, "A finished file was deleted.", UPLOAD, feeds=(COUNTED, FREED)
    )
    ORPHAN_DELETED = About(
        Area.UPLOADS, INFO, "A folder without a record was deleted.", ("upload_id",)
    )
    TICKET_MADE = About(
        Area.UPLOADS,
        INFO,
        "The owner has made a ticket for guests, for this many `uploads`.",
        ("ticket_id", "owner", "uploads"),
    )
    REPORT_SHARED = About(
        Area.UPLOADS,
        INFO,
        "The owner has made a link that shows the report of an upload.",
        (*UPLOAD, "ticket_id"),
    )
    TICKET_REVOKED = About(
        Area.UPLOADS,
        INFO,
        "The owner, or an operator, has revoked a ticket for guests.",
        ("ticket_id", "owner"),
    )
    NOT_RELEASED = About(
        Area.UPLOADS,
        INFO,
        "The end of a request could not be recorded. This is harmless.",
        ("upload_id", "code"),
    )
    REFUSED = About(
        Area.UPLOADS,
        WARNING,
        "A request was refused. The level is info for `body-cut`, `rate-limited`, `stopping`, "
        "`superseded`, `upload-gone` and `waiting`, which occur in the ordinary course, and debug "
        "for `overloaded`. `bytes` is the length of the request; `upload_id` is `-` if the request "
        "named none.",
        ("code", "status", "method", "upload_id", "bytes", "seconds"),
        feeds=(Feed("refusals", label="code"),),
    )

    # Trouble.
    STORAGE_FAILED = About(
        Area.TROUBLE,
        ERROR,
        "The disk gave an error, or the data folder is away; `problem` says which. "
        "Nothing was acknowledged.",
        ("problem",),
        repeats=True,
    )
    STORAGE_RECOVERED = About(
        Area.TROUBLE,
        INFO,
        "Storage and catalog can be used again. A request to `/readyz` finds that out, so the "
        "line comes where one is sent regularly.",
    )
    NOT_RESERVED = About(
        Area.TROUBLE,
        ERROR,
        "An upload was next, and its space could not be reserved. With the code `disk-full`, "
        "something else has filled the disk, and the upload keeps its position in the queue.",
        ("upload_id", "code"),
        repeats=True,
    )
    HOOK_FAILED = About(
        Area.TROUBLE,
        ERROR,
        "Your hook raised an exception, or returned an unusable id. A traceback follows.",
        (*UPLOAD, "hook"),
    )
    HOOK_OVERDUE = About(
        Area.TROUBLE,
        ERROR,
        "Your hook has not returned within `hook_timeout`.",
        (*UPLOAD, "hook", "seconds"),
    )
    HOOK_ENDS_SERVER = About(
        Area.TROUBLE,
        ERROR,
        "The process ended three times while your hook ran. The hook is not called for an hour.",
        (*UPLOAD, "hook"),
    )
    PRIORITY_FAILED = About(
        Area.TROUBLE,
        ERROR,
        "Your function `priority` raised an exception, or returned no number from -100 to 100. "
        "The assessment has the priority 0. A traceback follows.",
        UPLOAD,
    )
    LEASE_NOT_RENEWED = About(
        Area.TROUBLE,
        ERROR,
        "A completion could not renew its lease. Another process may resume the completion.",
        ("upload_id",),
        repeats=True,
    )
    RATES_NOT_SHARED = About(
        Area.TROUBLE,
        WARNING,
        "The catalog failed, or took longer than two seconds, and could not count what an owner "
        "uses. For five seconds, this process counts rates by itself.",
        ("problem",),
        repeats=True,
    )
    SWEEP_FAILED = About(
        Area.TROUBLE,
        ERROR,
        "One upload could not be swept, or nothing could (`upload_id` is `-`). Everything else "
        "was swept, and the next sweep tries again.",
        ("upload_id", "code", "problem"),
        repeats=True,
    )
    KEYS_UNREADABLE = About(
        Area.TROUBLE,
        ERROR,
        "`keys.json` is missing or cannot be read, and every request is refused. Logged once; "
        "`/readyz` reports it, too.",
        ("problem",),
    )
    KEYS_READABLE = About(Area.TROUBLE, INFO, "The keys can be read again.")
    ANONYMOUS_ACCESS_ENDED = About(
        Area.TROUBLE,
        WARNING,
        "The first key was added. From now on, every request needs a key.",
    )
    BACKGROUND_FAILED = About(
        Area.TROUBLE,
        ERROR,
        "Something that runs beside the requests failed. It is tried again.",
        ("task", "upload_id", "code", "problem"),
        repeats=True,
    )

    # Paths.
    PATH_NARROW = About(
        Area.TROUBLE,
        WARNING,
        "Clients report that a proxy in front refuses requests with a body of `refuses` bytes; "
        "`passes` is the largest that has arrived. Uploads work all the same. `command` finds out "
        "more, and what to change. Where no request has said whether clients use https, it has "
        "ADDRESS in place of the address: that of the API as clients reach it, such as "
        "https://example.org/api. Logged when the limit becomes known or changes, by the process "
        "that learns of it, at most once a minute for each host.",
        ("host", "passes", "refuses", "refused_by", "owners", "command"),
    )
    PATH_WIDER = About(
        Area.TROUBLE,
        INFO,
        "A body has arrived that was refused before: no limit of this host is known any more.",
        ("host", "passes"),
    )

    # Webhooks.
    WEBHOOK_DELIVERED = About(
        Area.WEBHOOKS,
        INFO,
        "The endpoint has answered 2xx.",
        (*WEBHOOK, "seconds"),
    )
    WEBHOOK_FAILED = About(
        Area.WEBHOOKS,
        WARNING,
        "An attempt has failed. It is tried again.",
        (*WEBHOOK, "seconds", "problem"),
    )
    WEBHOOK_GIVEN_UP = About(
        Area.WEBHOOKS,
        ERROR,
        "The webhook is not tried again. It is kept for `keep_records`, and "
        "`wherry webhooks replay` sends it.",
        (*WEBHOOK, "seconds", "problem"),
    )
    WEBHOOK_ENDPOINT_GONE = About(
        Area.WEBHOOKS,
        ERROR,
        "The endpoint has answered 410, which says that it wants no more webhooks. All further "
        "ones for it are given up until this one is replayed.",
        (*WEBHOOK, "seconds", "problem"),
    )

    # The worker, as the server sees it.
    WORKER_DIED = About(
        Area.WORKER,
        ERROR,
        "The worker ended with `code`; a negative code is a signal. The server starts another.",
        ("code",),
    )
    WORKER_NOT_STARTED = About(
        Area.WORKER, ERROR, "The system could not start the worker.", ("problem",)
    )
    WORKER_FAILING = About(
        Area.WORKER,
        ERROR,
        "The worker cannot start, died three times in a row, or cannot work. Nothing is assessed; "
        "what was uploaded is safe. Logged once; `/readyz` reports it, too.",
        ("problem",),
    )
    WORKER_RECOVERED = About(Area.WORKER, INFO, "A worker works again.")
    WORKER_KILLED = About(
        Area.WORKER, ERROR, "The worker did not end in time with its server.", ("pid",)
    )

    # The server, and what is around it.
    SERVING = About(Area.SERVER, INFO, "`wherry serve` begins.", ("data",))
    LISTENING = About(Area.SERVER, INFO, "An address that it listens on.", ("url",))

    PROCESS_ENDED = About(
        Area.SERVER,
        WARNING,
        "One of several processes (`processes`) has ended, and is replaced. What it had "
        "acknowledged is safe, and clients repeat the rest. `code` is its exit code, or the "
        "negative number of the signal that ended it: often -9 if memory ran out.",
        ("pid", "code"),
    )

    HOST_LIMIT = About(
        Area.SERVER,
        WARNING,
        "`place`, an option of the ASGI server or a middleware around the router, limits requests, "
        "or reads whole bodies into memory. Logged at the start. The level is info for timers that "
        "concern only clients that have stalled.",
        ("place", "problem"),
    )

    # Assessments, in the worker.
    WORKER_STARTED = About(
        Area.ASSESSMENTS, INFO, "The worker begins to assess.", ("executor", "pid")
    )
    WORKER_STOPPED = About(Area.ASSESSMENTS, INFO, "The worker ends.", ("executor",))
    ASSESSMENT_CLAIMED = About(
        Area.ASSESSMENTS,
        INFO,
        "A worker begins an assessment, or resumes one.",
        ("assessment_id", "upload_id", "attempt"),
    )
    STEP_STARTED = About(Area.ASSESSMENTS, INFO, "A step begins.", ("assessment_id", "step"))
    STEP_GIVEN_UP = About(
        Area.ASSESSMENTS,
        ERROR,
        "Three workers in a row died during this step, or during one before it. It is not run "
        "again, and the report says so.",
        ("assessment_id", "step"),
    )
    STEP_IGNORED = About(
        Area.ASSESSMENTS,
        WARNING,
        "The name of an installed step is one of Wherry's own, taken, or not allowed.",
        ("step", "place"),
    )
    WORKFLOW_RESUMED = About(
        Area.ASSESSMENTS,
        INFO,
        "The workflow that a dead worker left behind is resumed.",
        ("assessment_id",),
    )
    WORKFLOW_FAILED = About(
        Area.ASSESSMENTS,
        ERROR,
        "A workflow failed. It begins anew.",
        ("assessment_id", "upload_id", "problem"),
    )
    ASSESSMENT_DONE = About(
        Area.ASSESSMENTS,
        INFO,
        "The report is recorded.",
        ("assessment_id", "upload_id", "verdict"),
    )
    ASSESSMENT_FAILED = About(
        Area.ASSESSMENTS,
        ERROR,
        "Wherry could not make a report.",
        ("assessment_id", "upload_id", "problem"),
    )
    ASSESSMENT_RELEASED = About(
        Area.ASSESSMENTS,
        INFO,
        "The worker ends before its assessment does. Another worker goes on.",
        ("assessment_id", "upload_id"),
    )
    ASSESSMENT_NOT_RENEWED = About(
        Area.ASSESSMENTS,
        ERROR,
        "An assessment could not renew its lease. Another worker may resume the assessment. "
        "A traceback follows, unless the disk or the database has failed.",
        ("assessment_id", "upload_id", "problem"),
        label="lease-not-renewed",
    )
    LEASE_LOST = About(Area.ASSESSMENTS, WARNING, "Another worker has the assessment by now.")
    FILES_AWAY = About(
        Area.ASSESSMENTS,
        ERROR,
        "The data folder is away. Nothing is claimed until it is back. Logged once.",
        ("problem",),
        label="storage-failed",
    )
    WORKER_FAILED = About(
        Area.ASSESSMENTS,
        ERROR,
        "An assessment failed in the worker. It is tried again when its lease has run out. "
        "A traceback follows, unless the disk, the database or the store has failed.",
        ("problem",),
    )
    WORKER_ENDED_LATE = About(
        Area.ASSESSMENTS,
        ERROR,
        "The worker did not end within `seconds`, and ended itself by force.",
        ("seconds",),
    )

    # Kept, because a chunk logs an event.
    def __init__(self, about: About) -> None:
        self.about = about
        #: Its public name, in the log and as a label of metrics.
        self.label = about.label or self._name_.lower().replace("_", "-")
        self.logger = about.area.logger
        self.facts = frozenset(about.facts)
