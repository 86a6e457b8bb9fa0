"""Logging an event: one line, and its counters."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Protocol, Unpack

from wherry.core.upload import Upload
from wherry.events.event import Event
from wherry.events.facts import Facts

#: The request that is being served, as its answer's `X-Request-ID` names it.
request_id: ContextVar[str | None] = ContextVar("wherry_request_id", default=None)


class Counting(Protocol):
    """What counts events: `wherry.metrics.Metrics`."""

    def count(self, event: Event, facts: Facts) -> None: ...


def log_event(
    event: Event,
    upload: Upload | None = None,
    *,
    metrics: Counting | None = None,
    level: int | None = None,
    trace: bool | BaseException = False,
    **facts: Unpack[Facts],
) -> None:
    """Count an event in `metrics` and write its line: logfmt, values with blanks as JSON strings.

    The record has the event and its facts as `wherry`, too, for logs that are no text.

    `upload`: adds the facts `UPLOAD`. `level`: in place of the event's own.
    `trace`: with the traceback of this exception, or of the one that is being handled.

    Raises `TypeError` for a fact that the event does not have.
    """
    if upload is not None:
        size = upload.limit if upload.length is None else upload.length
        of_upload: Facts = {"upload_id": upload.id, "owner": upload.owner, "bytes": size}
        facts = of_upload | facts
    if not event.facts.issuperset(facts):
        unknown = facts.keys() - event.facts
        raise TypeError(f"{event} has no facts {', '.join(sorted(unknown))}")
    if metrics is not None:
        metrics.count(event, facts)
    if level is None:
        level = event.about.level
    if not event.logger.isEnabledFor(level):
        return
    line = " ".join([event.label, *(f"{key}={_logfmt(value)}" for key, value in facts.items())])
    fields: dict[str, object] = {"event": event.label, **facts}
    if (current := request_id.get()) is not None:
        line = f"{line} request_id={current}"
        fields["request_id"] = current
    event.logger.log(level, "%s", line, exc_info=trace, extra={"wherry": fields})


def _logfmt(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    is_plain = text.isprintable() and " " not in text and '"' not in text and "=" not in text
    return text if is_plain else json.dumps(text)
